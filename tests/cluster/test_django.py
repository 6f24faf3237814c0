"""Django's backend on three real nodes."""

from typing import Any

import pytest

pytest.importorskip("django")
from django.db import NotSupportedError, models, transaction
from django.db.models.functions import SHA1, TruncMonth
from tests.cluster.conftest import Started
from tests.django.test_backend import Order, Shop, make_tables, use


def test_a_program_of_django(start: Started) -> None:
    connection: Any = use(start(3).url + "/main")
    make_tables(connection)
    with transaction.atomic():
        shop = Shop.objects.create(name="mugs", opened="2024-02-29 12:00:00+00:00")
        Order.objects.bulk_create([Order(shop=shop) for _ in range(3)])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        _ = 1 // (Order.objects.all().delete()[0] - 3)
    Shop.objects.update(name=SHA1("name"))
    found = Shop.objects.annotate(month=TruncMonth("opened")).get()
    assert (len(found.name), found.month.day, Order.objects.filter(shop__name=found.name).count()) == (40, 1, 3)
    with pytest.raises(NotSupportedError, match="regular expressions are not there on a cluster"):
        Shop.objects.filter(name__regex="a+").exists()
    wider = models.CharField(max_length=60)
    wider.set_attributes_from_name("name")
    wider.model = Shop
    with connection.schema_editor() as editor:
        editor.alter_field(Shop, Shop._meta.get_field("name"), wider)
    assert (Shop.objects.count(), Order.objects.count()) == (1, 3)
    connection.close()
