"""What SQLAlchemy's test suite does around its tests, for this dialect."""

from typing import Any

from sqlalchemy.testing.provision import (
    delete_from_all_tables,
    drop_all_schema_objects_pre_tables,
    post_configure_testing_engine,
    temp_table_keyword_args,
    upsert,
)


@temp_table_keyword_args.for_db("sqlite")
def _temporary(cfg: Any, eng: Any) -> dict[str, Any]:
    return {"prefixes": ["TEMPORARY"]}


@post_configure_testing_engine.for_db("sqlite")
def _configured(url: Any, engine: Any, options: Any, scope: Any) -> None:
    """Savepoints need no help here: `sqlite_savepoint` asks for what is in force."""


@drop_all_schema_objects_pre_tables.for_db("sqlite")
def _before_tables(cfg: Any, eng: Any) -> None:
    """Tables may refer to each other in a circle."""
    with eng.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for view in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'view'").scalars().all():
            connection.exec_driver_sql(f'DROP VIEW "{view}"')


@delete_from_all_tables.for_db("sqlite")
def _emptied(connection: Any, cfg: Any, metadata: Any) -> None:
    """Numbers begin anew, which AUTOINCREMENT alone would not do."""
    delete_from_all_tables.call_original(connection, cfg, metadata)
    if connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").scalar():
        connection.exec_driver_sql("DELETE FROM sqlite_sequence")


@upsert.for_db("sqlite")
def _upsert(
    cfg: Any,
    table: Any,
    returning: Any,
    *,
    set_lambda: Any = None,
    sort_by_parameter_order: bool = False,
    **options: Any,
) -> Any:
    from sqlalchemy.dialects.sqlite import insert

    statement = insert(table)
    if set_lambda:
        statement = statement.on_conflict_do_update(set_=set_lambda(statement.excluded))
    else:
        statement = statement.on_conflict_do_nothing()
    return statement.returning(*returning, sort_by_parameter_order=sort_by_parameter_order)
