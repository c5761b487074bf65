// The engine's own replayer as a filter, for the tests of mlinfra/state/replay.py.
//
// Each line of standard input is a JSON object {"base", "entries", "version"}: a deployment or null, the entries of a
// journal in order, the version of the command line tool. Each is answered with one line: {"version", "features",
// "deployment"} as the engine would store them, or {"error"}. What makes the engine panic is an error too.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/pulumi/pulumi/pkg/v3/backend"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
)

type journal struct {
	Base    *apitype.DeploymentV3  `json:"base"`
	Entries []apitype.JournalEntry `json:"entries"`
	Version string                 `json:"version"`
}

type failure struct {
	Error string `json:"error"`
}

func replay(line []byte) (answer any) {
	defer func() {
		if cause := recover(); cause != nil {
			answer = failure{fmt.Sprintf("panic: %v", cause)}
		}
	}()
	var read journal
	if err := json.Unmarshal(line, &read); err != nil {
		return failure{err.Error()}
	}
	version.Version = read.Version
	if read.Base == nil {
		// What backend.NewJournaler starts a stack with that has no state yet.
		read.Base = &apitype.DeploymentV3{}
	}
	replayer := backend.NewJournalReplayer(read.Base)
	for _, entry := range read.Entries {
		if err := replayer.Add(entry); err != nil {
			return failure{err.Error()}
		}
	}
	deployment, err := replayer.GenerateDeployment()
	if err != nil {
		return failure{err.Error()}
	}
	return deployment
}

func run(input io.Reader, output io.Writer) error {
	lines := bufio.NewReaderSize(input, 1<<20)
	answers := json.NewEncoder(output)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := answers.Encode(replay(line)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
