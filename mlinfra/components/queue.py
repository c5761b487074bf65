"""`Queue`: an SQS queue for work that is to be done, with a place for what cannot be done."""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from pydantic import Field

from mlinfra.components.access import Classification, DataStore, Grant, account_id, partition, policy
from mlinfra.components.key import Key
from mlinfra.components.key_use import check_key
from mlinfra.components.signals import Alarm, Chart, Line, Signal, Watched
from mlinfra.components.tags import Tags
from mlinfra.components.targets import needs_aws
from mlinfra.expansion import Scope
from mlinfra.graph import Document, Ref, Value, join

DAY: Final = 86_400
DEAD_LETTER_DAYS: Final = 14
"""The longest that SQS keeps a message. A message's age counts from when it was first sent, so that its dead-letter
queue has to keep it longer than the queue (SQS developer guide, "Using dead-letter queues")."""

METRICS: Final = "AWS/SQS"
"""SQS' namespace in CloudWatch."""
_NEARLY: Final = 0.8

LONGEST_NAME: Final = 80
LONGEST_POLL: Final = 20


class Queue(DataStore, Watched):
    """An SQS queue: messages wait in it until a worker has done what they ask for.

    A worker that reads it takes a message, does the work and deletes the message; a message that was taken and not
    deleted comes back after `visibility_seconds`. One that came back `receives` times goes to a dead-letter queue,
    which is made too and keeps it for 14 days for people to look at. Messages can arrive twice and in any order.

    With `Bucket("data", notifications=[Notification(to=queue)])` each new object of the bucket sends a message.
    Containers that read or write the queue get its address in `<NAME>_URL`.

    A `Monitoring` that watches it has CloudWatch alarms for messages that nobody could handle, and for those that are
    about to be lost because nobody takes them.
    """

    holds_data: ClassVar[bool] = True

    classification: Classification = "internal"
    """How sensitive the messages are; a tag, which policies and reviewers go by. A workload that reads personal data
    (`pii`) may write it to what is marked `pii` only."""

    key: Key | None = None
    """The KMS key that messages are encrypted with; by default SQS's own keys."""

    retention_days: int = Field(default=4, ge=1, le=DEAD_LETTER_DAYS)
    """Days after which a message that nobody took is gone, 14 at most (SQS API reference, `SetQueueAttributes`)."""

    visibility_seconds: int = Field(default=300, ge=1, le=43_200)
    """Seconds that a worker has for a message before others may take it, at most 12 hours: longer than the work takes,
    and the longer, the later a message of a worker that died is taken up again."""

    receives: int = Field(default=5, ge=1, le=1_000)
    """How often a message may be taken before it goes to the dead-letter queue."""

    delay_seconds: int = Field(default=0, ge=0, le=900)
    """Seconds before a new message can be taken."""

    tags: Tags = Field(default_factory=dict)
    """Further tags."""

    # ------------------------------------------------------------------------------------ outputs

    @property
    def arn(self) -> Ref:
        """The queue's ARN."""
        return self.output("queue", "arn")

    @property
    def url(self) -> Ref:
        """The queue's address."""
        return self.output("queue", "url")

    @property
    def dead_letters_url(self) -> Ref:
        """The address of its dead-letter queue."""
        return self.output("dead-letters", "url")

    @property
    def dead_letters_arn(self) -> Ref:
        """The ARN of its dead-letter queue."""
        return self.output("dead-letters", "arn")

    # ------------------------------------------------------------------------------------ access

    def read_grants(self) -> tuple[Grant, ...]:
        """Take messages, keep them for longer, delete them (SQS developer guide, "Amazon SQS API permissions")."""
        actions = ("sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage")
        return (Grant(actions, (self.arn,)), *(self.key.decrypt_grants("sqs") if self.key else ()))

    def write_grants(self) -> tuple[Grant, ...]:
        """Send messages."""
        return (Grant(("sqs:SendMessage",), (self.arn,)), *(self.key.encrypt_grants("sqs") if self.key else ()))

    def variables(self) -> dict[str, Value]:
        """`JOBS_URL` for a queue `jobs`."""
        return {f"{self.identity.replace('-', '_').upper()}_URL": self.url}

    # ------------------------------------------------------------------------------------ watching

    def signals(self) -> tuple[Signal, ...]:
        """Messages in the dead-letter queue; messages that wait for nearly as long as the queue keeps them.

        Source: SQS developer guide, "Available CloudWatch metrics for Amazon SQS"; a queue that is not in use reports
        nothing.
        """
        longest = int(self.retention_days * DAY * _NEARLY)
        return (
            Signal(
                "DeadLetters",
                "warning",
                "",
                5,
                f"Messages of queue {self.name} could not be handled and are in its dead-letter queue",
                _alarm("ApproximateNumberOfMessagesVisible", self.output("dead-letters", "name"), 0),
            ),
            Signal(
                "MessagesExpire",
                "critical",
                "",
                5,
                f"Messages of queue {self.name} are about to be lost: nobody takes them",
                _alarm("ApproximateAgeOfOldestMessage", self.output("queue", "name"), longest),
            ),
        )

    def charts(self, cluster: str) -> Iterable[Chart]:  # noqa: ARG002 — SQS tells of it
        """Messages that come and go, and that are there (SQS developer guide, "Available CloudWatch metrics for Amazon
        SQS")."""
        messages = {"QueueName": self.output("queue", "name")}
        flow = ("NumberOfMessagesSent", "NumberOfMessagesDeleted")
        yield Chart("Messages", tuple(Line(METRICS, metric, messages, "Sum") for metric in flow))
        there = ("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible")
        yield Chart("Waiting, and taken", tuple(Line(METRICS, metric, messages, "Maximum") for metric in there))

    # ------------------------------------------------------------------------------------ expansion

    def expand(self, scope: Scope) -> None:
        """The dead-letter queue, the queue, and a policy for each."""
        if not needs_aws(scope):
            return
        check_key(scope, self.key, "sqs")
        name = scope.label_name(limit=LONGEST_NAME)
        arn = join(f"arn:{partition(scope)}:sqs:{scope.environment.region}:", account_id(scope), f":{name}")
        dead = self._queue(
            scope,
            "dead-letters",
            scope.label_name("dead-letters", limit=LONGEST_NAME),
            {
                "messageRetentionSeconds": DEAD_LETTER_DAYS * DAY,
                "visibilityTimeoutSeconds": self.visibility_seconds,
                # Each queue names the other, so this one does so by what the other will be called.
                "redriveAllowPolicy": Document({"redrivePermission": "byQueue", "sourceQueueArns": [arn]}),
            },
        )
        redrive = {"deadLetterTargetArn": Ref(dead.node, ("arn",)), "maxReceiveCount": self.receives}
        self._queue(
            scope,
            "queue",
            name,
            {
                "messageRetentionSeconds": self.retention_days * DAY,
                "visibilityTimeoutSeconds": self.visibility_seconds,
                "delaySeconds": self.delay_seconds,
                "redrivePolicy": Document(redrive),
            },
        )

    def _queue(self, scope: Scope, local: str, name: str, settings: Mapping[str, Value]) -> Ref:
        tier = scope.environment.tier
        encryption = {"kmsMasterKeyId": self.key.arn} if self.key else {"sqsManagedSseEnabled": True}
        queue = scope.aws(
            local,
            "aws:sqs/queue:Queue",
            {
                "name": name,
                **settings,
                "receiveWaitTimeSeconds": LONGEST_POLL,  # asking an empty queue again and again costs more
                **encryption,
                "tags": {**self.tags, **scope.tags, "mlinfra:classification": self.classification},
            },
            protect=scope.protected or tier.protected,
        )
        # SQS developer guide, "Amazon SQS security best practices": enforce encryption of data in transit.
        only_tls = {
            "Sid": "OnlyOverTLS",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": Ref(queue.node, ("arn",)),
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        scope.aws(
            "policy" if local == "queue" else f"{local}-policy",
            "aws:sqs/queuePolicy:QueuePolicy",
            {"queueUrl": Ref(queue.node, ("url",)), "policy": policy([only_tls])},
        )
        return queue


def _alarm(metric: str, queue: Ref, above: float) -> Alarm:
    dimensions = {"QueueName": queue}
    return Alarm(metric, dimensions, "Maximum", above=above, namespace=METRICS, missing="notBreaching")
