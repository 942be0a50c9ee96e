"""OData clients that are not ours read the service: odatapy, modelled on Apache Olingo, and python-odata."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from odata.service import ODataService
from odatapy.client import ODataClient
from odatapy.client.responses import ClientResponse
from requests.adapters import BaseAdapter

from tests.odata.feeds import NAMES, ROOT, SETS, rows
from tests.support.service import ADMIN_KEY, Service

URL = f"http://service{ROOT}/"


class OlingoTransport:
    """Sends the requests of odatapy to the service of the test."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def send(self, method: str, url: str, headers: dict[str, str], body: bytes) -> ClientResponse:
        answer = self._service.request(method, url, headers=headers, content=body)
        return ClientResponse(answer.status_code, dict(answer.headers), answer.content)


class ServiceAdapter(BaseAdapter):
    """Sends the requests of `requests` to the service of the test, as they would go over the network."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        answer = self._service.request(str(request.method), str(request.url), headers=dict(request.headers))
        response = requests.Response()
        response.status_code, response._content = answer.status_code, answer.content
        response.headers.update(answer.headers)
        response.request, response.url = request, str(request.url)
        return response

    def close(self) -> None:
        pass


@pytest.fixture
def olingo(company: Service) -> ODataClient:
    return ODataClient(URL, OlingoTransport(company))


def test_olingo_reads_the_service_document_and_the_schema(olingo: ODataClient) -> None:
    assert {*olingo.get_service_document().entity_sets} == {*SETS}
    assert "MetricValue" in str(olingo.get_metadata_document())
    assert olingo.edm is not None


@pytest.mark.parametrize("name", SETS)
def test_olingo_reads_all_rows_typed_by_the_schema(name: str, olingo: ODataClient, company: Service) -> None:
    expected = rows(company, name)
    entities = list(olingo.iter_entities(f"{URL}{name}"))
    assert len(entities) == len(expected) == olingo.get_count(f"{URL}{name}")
    for entity, row in zip(entities[:50], expected, strict=False):
        for member, value in row.items():
            found = entity.get_value(member) if hasattr(entity, "get_value") else entity[member]
            assert (found is None) == (value is None), member
            if isinstance(value, (bool, int, float)):
                assert float(found) == float(value)


def python_odata(service: Service) -> Any:
    session = requests.Session()
    session.mount("http://service", ServiceAdapter(service))
    session.auth = ("anybody", ADMIN_KEY)
    return ODataService(URL, session=session, reflect_entities=True, quiet_progress=True)


def test_python_odata_builds_classes_from_the_schema_and_asks(company: Service) -> None:
    client = python_odata(company)
    assert {*SETS} <= {*client.entities}
    numbers = client.entities["MetricValues"]
    query = client.query(numbers).filter((numbers.metric == "nps") & (numbers.period == "2026-03"))
    [row] = list(query)
    [expected] = rows(company, "MetricValues", filter="metric eq 'nps' and period eq '2026-03'")
    assert (row.value, row.numerator, row.sample_size) == (
        expected["value"],
        expected["numerator"],
        expected["sample_size"],
    )
    accounts = client.entities["Accounts"]
    for name in NAMES:
        [account] = list(client.query(accounts).filter(accounts.account_id == name))
        assert (account.account_id, account.name) == (name, f"Account {name}")
    names = [own.account_id for own in client.query(accounts).order_by(accounts.account_id.desc())]
    assert names == sorted(NAMES, reverse=True)


def test_python_odata_follows_the_links_to_all_pages(company: Service) -> None:
    client = python_odata(company)
    client.default_context.connection.session.headers["Prefer"] = "odata.maxpagesize=2"
    responses = client.entities["SurveyResponses"]
    assert len(list(client.query(responses))) == 3 * len(NAMES)


def test_the_host_of_a_link_is_that_of_the_service(company: Service) -> None:
    answer = company.request("GET", f"{ROOT}/Accounts", headers={"Prefer": "maxpagesize=1"}).json()
    assert urlsplit(answer["@odata.nextLink"]).netloc == "service"
