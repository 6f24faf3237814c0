"""Alembic's batch mode and its comparison of schemas, with an env.py as `alembic init` writes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import String, create_engine, exc
from sqlalchemy.engine import Engine

ENV = """
from alembic import context
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, create_engine

metadata = MetaData()
Table("parent", metadata, Column("id", Integer, primary_key=True), Column("name", String(9), nullable=False))
Table(
    "child", metadata, Column("id", Integer, primary_key=True),
    Column("parent", ForeignKey("parent.id", ondelete="CASCADE")),
)
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
"""
FIRST = """
revision, down_revision = "1", None
from alembic import op
import sqlalchemy as sa

def upgrade():
    op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String))
    op.create_table(
        "child", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")),
    )
"""
SECOND = """
revision, down_revision = "2", "1"
from alembic import op
import sqlalchemy as sa

def upgrade():
    op.execute("UPDATE parent SET name = 'x' WHERE name IS NULL")
    with op.batch_alter_table("parent") as batch:
        batch.alter_column("name", existing_type=sa.String, type_=sa.String(9), nullable=False)
"""
THIRD = """
revision, down_revision = "3", "2"
from alembic import op

def upgrade():
    op.execute("DELETE FROM parent")
"""
FILL = ("INSERT INTO parent VALUES (1, 'a'), (2, NULL)", "INSERT INTO child(parent) VALUES (1), (2), (2)")


@pytest.fixture
def migrations(tmp_path: Path) -> Config:
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text(ENV)
    for number, text in enumerate((FIRST, SECOND, THIRD), 1):
        (scripts / "versions" / f"{number}.py").write_text(text)
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.set_main_option("sqlalchemy.url", f"sqlite+quorate:///{tmp_path / 'shop'}")
    return config


def engine_of(config: Config) -> Engine:
    return create_engine(str(config.get_main_option("sqlalchemy.url")))


def fill(engine: Engine) -> None:
    with engine.begin() as connection:
        for sql in FILL:
            connection.exec_driver_sql(sql)


def children(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM child").scalar_one())


def test_a_rebuild_loses_no_row_that_would_be_deleted_with_the_old_table(migrations: Config) -> None:
    command.upgrade(migrations, "1")
    engine = engine_of(migrations)
    fill(engine)
    command.upgrade(migrations, "2")
    assert children(engine) == 3
    (Path(str(migrations.get_main_option("script_location"))) / "versions" / "3.py").unlink()
    command.check(migrations)  # raises if the schema would have to be changed
    with engine.begin() as connection:  # and the keys are on again
        connection.exec_driver_sql("DELETE FROM parent WHERE id = 2")
    assert children(engine) == 1
    engine.dispose()


def test_a_migration_that_leaves_rows_without_a_parent_is_undone(migrations: Config) -> None:
    command.upgrade(migrations, "2")
    engine = engine_of(migrations)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO parent VALUES (1, 'a')")
        connection.exec_driver_sql("INSERT INTO child(parent) VALUES (1)")
    with pytest.raises(exc.IntegrityError):
        command.upgrade(migrations, "3")
    assert children(engine) == 1
    engine.dispose()


def rebuild(operations: Operations) -> None:
    with operations.batch_alter_table("parent") as batch:
        batch.alter_column("name", existing_type=String(), nullable=True, server_default="x")


@pytest.mark.parametrize("prepared", [False, True])
def test_operations_without_an_env_are_refused_before_they_delete_rows(migrations: Config, prepared: bool) -> None:
    command.upgrade(migrations, "1")
    engine = engine_of(migrations)
    fill(engine)
    with engine.connect() as connection:
        if prepared:
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        operations = Operations(MigrationContext.configure(connection))
        refused = _attempt(lambda: rebuild(operations))
        connection.commit()
    assert (refused is None) is prepared
    assert refused is None or "would delete rows of" in str(refused)
    assert children(engine) == 3
    engine.dispose()


def _attempt(call: Callable[[], Any]) -> exc.ProgrammingError | None:
    try:
        call()
    except exc.ProgrammingError as error:
        return error
    return None
