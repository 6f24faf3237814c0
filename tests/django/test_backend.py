"""The backend of Django on a folder and in memory."""

import datetime as dt
import decimal
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

import django
import quorate

if not settings.configured:
    settings.configure(DATABASES={"default": {"ENGINE": "quorate.django", "NAME": ":memory:"}}, TIME_ZONE="UTC")
    django.setup()

from django.db import IntegrityError, connections, models, transaction
from django.db.models import Count, StdDev
from django.db.models.functions import MD5, TruncMonth, TruncYear
from django.db.utils import ConnectionHandler


class Shop(models.Model):
    name = models.CharField(max_length=30, unique=True)
    opened = models.DateTimeField(null=True)
    turnover = models.DecimalField(max_digits=12, decimal_places=2, default=0)

    class Meta:
        app_label = "shops"


class Order(models.Model):
    shop = models.ForeignKey(Shop, models.CASCADE)
    facts = models.JSONField(default=dict)

    class Meta:
        app_label = "shops"


def use(name: str, alias: str = "default", **options: Any) -> Any:
    """Have Django's connection of this thread lead somewhere else."""
    fresh = ConnectionHandler({"default": {"ENGINE": "quorate.django", "NAME": name, "OPTIONS": options}})["default"]
    fresh.alias = alias
    connections[alias] = fresh
    return fresh


def make_tables(connection: Any) -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Shop)
        editor.create_model(Order)


@pytest.fixture(params=["folder", ":memory:"])
def db(request: Any, tmp_path: Path) -> Iterator[Any]:
    connection = use(str(tmp_path / "shop") if request.param == "folder" else ":memory:")
    make_tables(connection)
    yield connection
    connection.connection.close()


def test_models_are_stored_and_found(db: Any) -> None:
    opened = dt.datetime(2024, 2, 29, 23, 30, tzinfo=dt.UTC)
    shop = Shop.objects.create(name="mugs", opened=opened, turnover=decimal.Decimal("12.50"))
    Order.objects.bulk_create([Order(shop=shop, facts={"n": n}) for n in range(3)])
    found = Shop.objects.get(name__iregex="^MUG")
    assert (found.opened, found.turnover) == (opened, decimal.Decimal("12.50"))
    assert Order.objects.values("shop__name").annotate(orders=Count("id")).get() == {"shop__name": "mugs", "orders": 3}
    assert Order.objects.filter(facts__n__gte=1).count() == 2
    vienna = dt.timezone(dt.timedelta(hours=1))
    assert Shop.objects.filter(opened__year=2024).count() == 1
    assert Shop.objects.annotate(month=TruncMonth("opened")).get().month == dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
    assert Shop.objects.annotate(year=TruncYear("opened", tzinfo=vienna)).get().year.month == 1
    assert (
        Shop.objects.annotate(digest=MD5("name")).get().digest
        == hashlib.md5(b"mugs", usedforsecurity=False).hexdigest()
    )
    assert Shop.objects.aggregate(spread=StdDev("turnover"))["spread"] == 0


def test_savepoints_and_undone_blocks(db: Any) -> None:
    with transaction.atomic():
        Shop.objects.create(name="kept")
        with pytest.raises(IntegrityError), transaction.atomic():
            Shop.objects.create(name="kept")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Shop.objects.create(name=str(1 // Shop.objects.create(name="gone").turnover))
    assert [shop.name for shop in Shop.objects.all()] == ["kept"]


def test_a_rebuilt_table_keeps_the_rows_that_refer_to_it(db: Any) -> None:
    shop = Shop.objects.create(name="mugs")
    Order.objects.create(shop=shop)
    wider = models.CharField(max_length=60, null=True)
    wider.set_attributes_from_name("name")
    wider.model = Shop
    with db.schema_editor() as editor:
        editor.alter_field(Shop, Shop._meta.get_field("name"), wider)
    assert (Shop.objects.count(), Order.objects.count()) == (1, 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.create(shop_id=99)


def test_the_tables_of_the_replica_are_not_seen(db: Any) -> None:
    assert sorted(db.introspection.table_names()) == ["shops_order", "shops_shop"]


def test_errors_are_those_of_django(db: Any) -> None:
    with pytest.raises(django.db.utils.ProgrammingError, match="no such table"), db.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere")
    with db.cursor() as cursor:
        pass
    with pytest.raises(django.db.utils.InterfaceError):
        cursor.execute("SELECT 1")


def test_percent_signs(db: Any) -> None:
    with db.cursor() as cursor:
        assert cursor.execute("SELECT '100%', '%s'").fetchone() == ("100%", "%s")
        assert cursor.execute("SELECT %s || '%%'", ["5"]).fetchone() == ("5%",)
        assert cursor.execute("SELECT %(n)s", {"n": 7}).fetchone() == (7,)


def test_threads_have_connections_of_their_own(tmp_path: Path) -> None:
    name = str(tmp_path / "shop")
    first = use(name)
    make_tables(first)
    errors: list[Exception] = []

    def add(number: int) -> None:
        mine = use(name)
        try:
            for step in range(5):
                with transaction.atomic():
                    count = Shop.objects.count()
                    Shop.objects.create(name=f"{number}-{step}", turnover=count)
        except Exception as error:  # noqa: BLE001 - the test's thread looks at it
            errors.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(int(shop.turnover) for shop in Shop.objects.all()) == list(range(20))
    first.close()


@pytest.mark.parametrize(("given", "said"), [({}, "IMMEDIATE"), ({"transaction_mode": "deferred"}, "DEFERRED")])
def test_how_a_block_begins(given: dict[str, str], said: str) -> None:
    connection = use(":memory:", **given)
    connection.ensure_connection()
    assert connection.transaction_mode == said


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {}, "needs a NAME"),
        (":memory:", {"transaction_mode": "never"}, "improperly configured to 'never'"),
        (":memory:", {"init_command": "PRAGMA x"}, "there are transaction_mode"),
    ],
)
def test_wrong_settings_are_named(name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=message):
        use(name, **options).ensure_connection()


def test_a_test_database_removes_only_what_quorate_made(tmp_path: Path) -> None:
    stranger, ours = tmp_path / "stranger", tmp_path / "ours"
    stranger.mkdir()
    (stranger / "letter.txt").write_text("dear")
    quorate.connect(str(ours)).close()
    creation = use(":memory:").creation
    for folder in (stranger, ours):
        creation._destroy_test_db(str(folder), verbosity=0)
    assert (stranger.exists(), ours.exists()) == (True, False)
