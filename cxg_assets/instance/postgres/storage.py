"""Dagster's PostgreSQL storage, with our event log in it, and connections that outlive a restart of the server."""

from collections.abc import Mapping
from typing import Any

from dagster._core.storage.event_log import EventLogStorage
from dagster._core.storage.runs import RunStorage
from dagster._core.storage.schedules import ScheduleStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from cxg_assets.instance.postgres.event_log import ReusingPostgresEventLogStorage
from cxg_assets.instance.postgres.webserver import TriedRunStorage, TriedScheduleStorage


class ReusingPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` whose event log keeps connections open.

    In `dagster.yaml`, with the settings that `storage: postgres:` has:

        storage:
          custom:
            module: cxg_assets.instance.postgres.storage
            class: ReusingPostgresStorage
            config:
              postgres_url: {env: DAGSTER_PG_URL}
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: Any = None,
    ) -> None:
        """Makes the tables where there are none, as Dagster's class does."""
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        how = {"should_autocreate_tables": should_autocreate_tables, "token_provider": token_provider}
        self._runs = TriedRunStorage(postgres_url, **how)
        self._schedules = TriedScheduleStorage(postgres_url, **how)
        self._events = ReusingPostgresEventLogStorage(postgres_url, **how)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "ReusingPostgresStorage":
        """This class, where Dagster's would name its own."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )

    @property
    def event_log_storage(self) -> EventLogStorage:
        """Ours."""
        return self._events

    @property
    def run_storage(self) -> RunStorage:
        """Dagster's, but for a webserver's connections."""
        return self._runs

    @property
    def schedule_storage(self) -> ScheduleStorage:
        """Dagster's, but for a webserver's connections."""
        return self._schedules
