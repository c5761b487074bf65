"""The SQL that tells PostgreSQL on RDS of the users that roles sign in as."""

from __future__ import annotations

from typing import Final

_SETUP: Final = """\
BEGIN;
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{reader}') THEN CREATE ROLE "{reader}" LOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{writer}') THEN CREATE ROLE "{writer}" LOGIN; END IF;
END $$;
GRANT rds_iam TO "{reader}", "{writer}";

-- Nobody makes tables in "public" but the writer and whoever owns the database.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO "{reader}", "{writer}";
GRANT CREATE ON SCHEMA public TO "{writer}";

-- What is made later is granted by whoever makes it: first the master user, ...
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO "{reader}", "{writer}";
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "{reader}";
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{writer}";
ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO "{reader}";
ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO "{writer}";

-- ... then the writer. It takes a member of the writer to say that, and members of it are members of rds_iam, who
-- cannot sign in with a password any more: the master user is one until the end of this transaction only.
GRANT "{writer}" TO CURRENT_USER;
ALTER DEFAULT PRIVILEGES FOR ROLE "{writer}" GRANT SELECT ON TABLES TO "{reader}";
ALTER DEFAULT PRIVILEGES FOR ROLE "{writer}" GRANT SELECT ON SEQUENCES TO "{reader}";
ALTER DEFAULT PRIVILEGES FOR ROLE "{writer}" GRANT ALL ON TABLES TO CURRENT_USER;
ALTER DEFAULT PRIVILEGES FOR ROLE "{writer}" GRANT ALL ON SEQUENCES TO CURRENT_USER;

-- What is there already.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{reader}";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{writer}";
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO "{reader}";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO "{writer}";
REVOKE "{writer}" FROM CURRENT_USER;
COMMIT;
"""


def setup_sql(reader: str, writer: str) -> str:
    """What the master user runs in the database, as often as it likes; both names are `SqlName`s.

    It takes no more than a user needs who owns the database and may create roles. PostgreSQL's own roles that read and
    write everything would not do: from version 16 on only who has them with the ADMIN option hands them on, and they
    reach the other databases of the instance, too.

    Sources: RDS user guide, "Creating a database account using IAM authentication" and "Limitations for IAM database
    authentication" (who is in `rds_iam` has no password); PostgreSQL, "ALTER DEFAULT PRIVILEGES", "The pg_hba.conf
    File" (members of members count).
    """
    return _SETUP.format(reader=reader, writer=writer)
