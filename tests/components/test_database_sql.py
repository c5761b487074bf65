"""`setup_sql` on a real PostgreSQL, whose users stand to each other as those of RDS do."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from mlinfra.components.database import Database
from tests.components.postgres import Server, server

RULES = """\
local all rdsadmin trust
local all +rds_iam trust
local all all scram-sha-256
"""
"""As RDS has them: members of `rds_iam`, and members of members, are let in by IAM; here by anybody's word."""

HANDS_ON = 160000
"""The version from which on a user has to administer the roles that it grants, and those that it made."""

PASSWORD = "a password"


@pytest.fixture(scope="module")
def rds() -> Iterator[Server]:
    """A server with a master user as on RDS: no superuser, and not the owner of the server's own databases."""
    with server("rdsadmin", rules=RULES, arguments=("-c", "listen_addresses=")) as found:
        with found.connect("rdsadmin", "postgres") as admin:
            admin.execute("CREATE ROLE rds_iam NOLOGIN")
            admin.execute("CREATE ROLE rds_superuser NOLOGIN")
            admin.execute(f"CREATE ROLE dbadmin LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORD}' IN ROLE rds_superuser")
            if admin.info.server_version >= HANDS_ON:
                admin.execute("GRANT rds_iam TO dbadmin WITH ADMIN OPTION")
        yield found


@pytest.fixture
def features(rds: Server) -> Iterator[Server]:
    """The master user's own database, with a table in it, set up twice."""
    sql = Database("features", network=None).setup_sql
    with rds.connect("dbadmin", "postgres", password=PASSWORD) as master:
        master.execute("CREATE DATABASE features")
    with rds.connect("dbadmin", "features", password=PASSWORD) as master:
        master.execute("CREATE TABLE early (id int PRIMARY KEY, what text)")
        master.execute("INSERT INTO early VALUES (1, 'one')")
        for _ in range(2):
            master.execute(sql)
    yield rds
    with rds.connect("rdsadmin", "postgres") as admin:
        admin.execute("DROP DATABASE features WITH (FORCE)")


def refused(connection: psycopg.Connection[object], *statements: str) -> None:
    for statement in statements:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)


def rows(connection: psycopg.Connection[object], query: str) -> list[object]:
    return [row[0] for row in connection.execute(query).fetchall()]  # type: ignore[index]


def test_the_writer_reads_and_writes_what_is_there_and_what_comes(features: Server) -> None:
    with features.connect("writer", "features") as writer:
        writer.execute("INSERT INTO early VALUES (2, 'two')")
        writer.execute("UPDATE early SET what = 'first' WHERE id = 1")
        writer.execute("CREATE TABLE mine (id serial PRIMARY KEY, what text)")
        writer.execute("INSERT INTO mine (what) VALUES ('a'), ('b')")
        assert rows(writer, "SELECT what FROM early ORDER BY id") == ["first", "two"]
        refused(writer, "DROP TABLE early", "TRUNCATE early", "ALTER TABLE early ADD COLUMN more int")
    with features.connect("dbadmin", "features", password=PASSWORD) as master:
        master.execute("CREATE TABLE later (id serial PRIMARY KEY, what text)")
        master.execute("CREATE SCHEMA marts")
        master.execute("CREATE TABLE marts.daily (id serial PRIMARY KEY, what text)")
    with features.connect("writer", "features") as writer:
        for table in ("later", "marts.daily"):
            writer.execute(f"INSERT INTO {table} (what) VALUES ('x')")
            assert rows(writer, f"DELETE FROM {table} RETURNING what") == ["x"]
        refused(writer, "CREATE TABLE marts.other (id int)")


def test_the_reader_reads_and_writes_nothing(features: Server) -> None:
    with features.connect("writer", "features") as writer:
        writer.execute("CREATE TABLE mine (id serial PRIMARY KEY, what text)")
        writer.execute("INSERT INTO mine (what) VALUES ('a')")
    with features.connect("dbadmin", "features", password=PASSWORD) as master:
        master.execute("CREATE SCHEMA marts")
        master.execute("CREATE TABLE marts.daily AS SELECT 'x' AS what")
    with features.connect("reader", "features") as reader:
        assert rows(reader, "SELECT what FROM early") == ["one"]
        assert rows(reader, "SELECT what FROM mine") == ["a"]
        assert rows(reader, "SELECT what FROM marts.daily") == ["x"]
        assert rows(reader, "SELECT last_value FROM mine_id_seq") == [1]
        for table in ("early", "mine", "marts.daily"):
            refused(reader, f"INSERT INTO {table} (what) VALUES ('y')", f"UPDATE {table} SET what = 'y'")
            refused(reader, f"DELETE FROM {table}", f"TRUNCATE {table}", f"DROP TABLE {table}")
        refused(reader, "CREATE TABLE other (id int)", "SELECT nextval('mine_id_seq')")


@pytest.mark.parametrize("user", ["reader", "writer"])
def test_neither_makes_or_takes_away_what_belongs_to_the_instance(features: Server, user: str) -> None:
    with features.connect(user, "features") as connection:
        refused(connection, "CREATE ROLE other", "DROP ROLE reader", "ALTER ROLE writer CREATEROLE", "SET ROLE dbadmin")
        refused(connection, "CREATE DATABASE other", "DROP DATABASE postgres", "CREATE SCHEMA other")
        refused(connection, "GRANT rds_superuser TO CURRENT_USER", "ALTER SYSTEM SET work_mem = '1GB'")


def test_the_master_user_works_on(features: Server) -> None:
    with features.connect("writer", "features") as writer:
        writer.execute("CREATE TABLE mine (id serial PRIMARY KEY, what text)")
    with features.connect("dbadmin", "features", password=PASSWORD) as master:
        master.execute("INSERT INTO mine (what) VALUES ('by the master')")
        assert rows(master, "SELECT what FROM mine") == ["by the master"]
        master.execute(Database("features", network=None).setup_sql)
        master.execute("DROP TABLE early")
        master.execute("CREATE ROLE analyst")
        master.execute("DROP ROLE analyst")
        members = "SELECT m.member::regrole::text FROM pg_auth_members m WHERE m.roleid = 'writer'::regrole"
        if master.info.server_version >= HANDS_ON:
            members += " AND (m.inherit_option OR m.set_option)"
        assert rows(master, members) == []


def test_the_master_user_signs_in_with_a_password_as_before(features: Server) -> None:
    """Who is in `rds_iam`, be it through another role, could not any more."""
    with features.connect("dbadmin", "postgres", password=PASSWORD) as master:
        if master.info.server_version >= HANDS_ON:
            pytest.skip("from 16 on who makes a role is a member of it, and RDS has an answer of its own to that")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        features.connect("dbadmin", "features", password="another")


def test_words_of_sql_are_names_too(rds: Server) -> None:
    with rds.connect("dbadmin", "postgres", password=PASSWORD) as master:
        master.execute("CREATE DATABASE words")
    with rds.connect("dbadmin", "words", password=PASSWORD) as master:
        master.execute(Database("words", network=None, reader="select", writer="table").setup_sql)
    with rds.connect("table", "words") as writer:
        writer.execute("CREATE TABLE one AS SELECT 1 AS n")
    with rds.connect("select", "words") as reader:
        assert rows(reader, "SELECT n FROM one") == [1]


def test_with_psql_nothing_is_half_done(features: Server) -> None:
    """In a database of somebody else it stops at the first refusal, and leaves nothing behind."""
    with features.connect("rdsadmin", "postgres") as admin:
        admin.execute("CREATE DATABASE others")
        file = features.folder / "setup.sql"
        file.write_text(Database("others", network=None, reader="r_others", writer="w_others").setup_sql)
        with features.connect("rdsadmin", "others") as inside:
            inside.execute("CREATE TABLE theirs (id int)")
        given = f"host={features.folder} dbname=others user=dbadmin password='{PASSWORD}'"
        ran = features.run("psql", given, "--set", "ON_ERROR_STOP=1", "--file", str(file))
        assert ran.returncode == 3, ran.stderr
        assert "permission denied" in ran.stderr
        assert rows(admin, "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%_others'") == [0]
        admin.execute("DROP DATABASE others WITH (FORCE)")
