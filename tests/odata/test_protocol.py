"""The protocol: service document, schema, headers, options, errors, single entities and links."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lxml import etree

from app.odata.model import EDM_TYPES, ENTITY_SETS
from tests.access.test_access import create_key
from tests.odata.feeds import NAMES, ROOT, SETS, get, key, rows
from tests.support.node_packages import node_modules
from tests.support.service import ADMIN_KEY, Service, account_update, session

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
MINIMAL = "application/json;odata.metadata=minimal"
# What Power BI and Excel send.
POWER_BI = (
    "application/json;odata.metadata=minimal;q=1.0,application/json;odata=minimalmetadata;q=0.9,"
    "application/atomsvc+xml;q=0.8,application/atom+xml;q=0.8,application/xml;q=0.7,text/plain;q=0.7"
)


def oasis_schemas() -> Path:
    """The folder of the schemas of OData's technical committee, which its package for Node brings."""
    return node_modules() / "odata-csdl" / "schemas"


def error(answer: Any) -> dict[str, Any]:
    """The error of an answer, which is one as OData writes it."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get_list("odata-version") == ["4.0"]
    body = answer.json()
    assert body.keys() == {"error"} and {"code", "message"} <= body["error"].keys()
    return body["error"]


def test_the_service_document_lists_all_entity_sets(service: Service) -> None:
    for path in ("", "/"):
        answer = service.request("GET", ROOT + path, headers={"Accept": POWER_BI})
        assert answer.status_code == 200
        assert answer.headers.get_list("odata-version") == ["4.0"]
        assert answer.headers["content-type"] == MINIMAL
        body = answer.json()
        assert body["@odata.context"] == f"http://service{ROOT}/$metadata"
        assert {own["name"] for own in body["value"]} == {*SETS}
        assert all(own == {"name": own["name"], "kind": "EntitySet", "url": own["name"]} for own in body["value"])


def properties_in_xml(content: bytes) -> dict[str, dict[str, tuple[str, bool]]]:
    types = etree.fromstring(content).iter(f"{EDM}EntityType")
    return {
        own.get("Name"): {
            member.get("Name"): (member.get("Type"), member.get("Nullable", "true") == "true")
            for member in own.iter(f"{EDM}Property")
        }
        for own in types
    }


def properties_in_json(schema: dict[str, Any]) -> dict[str, dict[str, tuple[str, bool]]]:
    types = schema["CustomerSuccessMetrics"].items()
    return {
        name: {
            member: (own.get("$Type", "Edm.String"), own.get("$Nullable", False))
            for member, own in type.items()
            if not member.startswith("$")
        }
        for name, type in types
        if type["$Kind"] == "EntityType"
    }


def json_schema() -> Any:
    """The schema of CSDL JSON, with its patterns of names as Python writes them."""
    content = (oasis_schemas() / "csdl.schema.json").read_text()
    content = content.replace(r"(_|\\p{L}|\\p{Nl})", r"[^\\W\\d]")
    return json.loads(content.replace(r"(_|\\p{L}|\\p{Nl}|\\p{Nd}|\\p{Mn}|\\p{Mc}|\\p{Pc}|\\p{Cf})", r"\\w"))


def test_the_schema_is_valid_as_xml_and_as_json(service: Service) -> None:
    service.send(account_update("x", **{"a b": 1, "<b>&'\"": "y", "Größe": True, "\ufffe": "z"}))
    answer = get(service, "$metadata")
    assert answer.headers["content-type"] == "application/xml"
    validator = etree.XMLSchema(etree.parse(oasis_schemas() / "edmx.xsd"))
    validator.assertValid(etree.fromstring(answer.content))
    document = get(service, "$metadata", format="json").json()
    jsonschema.validate(document, json_schema())
    assert properties_in_xml(answer.content) == properties_in_json(document)


def test_the_schema_declares_what_the_rows_have(company: Service) -> None:
    types = properties_in_xml(get(company, "$metadata").content)
    for name in SETS:
        declared = types[ENTITY_SETS.by_name[name].entity_type]
        assert {*ENTITY_SETS.by_name[name].key} <= {own for own, (_, nullable) in declared.items() if not nullable}
        for row in rows(company, name):
            assert list(row) == list(declared)
            for member, value in row.items():
                type, nullable = declared[member]
                kinds = {"Edm.String": str, "Edm.Date": str, "Edm.DateTimeOffset": str, "Edm.Boolean": bool}
                assert (value is None and nullable) or isinstance(value, kinds.get(type, (int, float))), member


def test_no_property_is_a_collection_or_leads_to_another_entity(service: Service) -> None:
    content = get(service, "$metadata").text
    assert "NavigationProperty" not in content and 'Type="Collection(' not in content
    types = {type for own in properties_in_xml(content.encode()).values() for type, _ in own.values()}
    assert types <= {*EDM_TYPES.values()}


def test_clients_that_take_both_get_the_schema_as_xml(service: Service) -> None:
    for accept in (POWER_BI, "application/json,application/xml;q=0.1", "*/*", "", "application/*"):
        answer = get(service, "$metadata", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/xml", accept
    assert get(service, "$metadata", headers={"Accept": "application/json"}).json()["$Version"] == "4.01"


@pytest.mark.parametrize("name", SETS)
def test_every_entity_set_has_a_typed_table_also_without_data(name: str, service: Service) -> None:
    answer = get(service, name, count="true", headers={"Accept": POWER_BI})
    assert answer.status_code == 200 and answer.headers["content-type"] == MINIMAL
    assert answer.json()["@odata.context"] == f"http://service{ROOT}/$metadata#{name}"
    assert answer.json()["@odata.count"] == len(answer.json()["value"])
    assert get(service, f"{name}/$count").text == str(answer.json()["@odata.count"])
    if name != "Accounts":
        declared = properties_in_xml(get(service, "$metadata").content)[ENTITY_SETS.by_name[name].entity_type]
        assert [own.name for own in ENTITY_SETS.by_name[name].properties] == list(declared)


@pytest.mark.parametrize("name", SETS)
def test_every_entity_is_found_by_its_key(name: str, company: Service) -> None:
    found = rows(company, name, headers={"Accept": "application/json;odata.metadata=full"})
    assert found
    for row in found[:: max(1, len(found) // 10)]:
        answer = company.request("GET", row["@odata.id"])
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body.pop("@odata.context").endswith(f"#{name}/$entity")
        assert body == {member: value for member, value in row.items() if "@" not in member}


def test_keys_have_doubled_quotes_and_encoded_slashes(company: Service) -> None:
    for name in NAMES:
        answer = company.request("GET", f"{ROOT}/Accounts({key(name)})")
        assert answer.json()["account_id"] == name
        assert company.request("GET", f"{ROOT}/Accounts(account_id={key(name)})").json() == answer.json()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("Accounts('nobody')", 404, "not_found"),
        ("Accounts(5)", 400, "invalid_filter"),
        ("Accounts()", 400, "invalid_filter"),
        ("Accounts('a','b')", 400, "invalid_filter"),
        ("Accounts(name='a')", 400, "invalid_filter"),
        ("Accounts('a", 404, "not_found"),
        ("Accounts('a'')", 400, "invalid_filter"),
        ("MetricValues('nps')", 400, "invalid_filter"),
        ("accounts", 404, "not_found"),
        ("Account", 404, "not_found"),
        ("Accounts('acme')/$count", 404, "not_found"),
        ("Accounts('acme')/name", 404, "not_found"),
        ("$batch", 404, "not_found"),
    ],
)
def test_a_path_that_does_not_exist_is_an_error(path: str, status: int, code: str, service: Service) -> None:
    answer = get(service, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_levels_of_metadata(company: Service) -> None:
    minimal = get(company, "Accounts", top=1).json()
    none = get(company, "Accounts", top=1, headers={"Accept": "application/json;odata.metadata=none"})
    assert none.headers["content-type"] == "application/json;odata.metadata=none"
    assert none.json() == {"value": minimal["value"]}
    full = get(company, "SurveyResponses", top=1, format="application/json;odata.metadata=full;IEEE754Compatible=true")
    assert full.headers["content-type"] == "application/json;odata.metadata=full;IEEE754Compatible=true"
    [row] = full.json()["value"]
    assert row["@odata.type"] == "#CustomerSuccessMetrics.SurveyResponse"
    assert (row["score@odata.type"], row["occurred_on@odata.type"]) == ("#Int64", "#Date")
    assert row["score"] == str(get(company, "SurveyResponses", top=1).json()["value"][0]["score"])
    counts = get(company, "Accounts", count="true", headers={"Accept": "application/json;IEEE754Compatible=true"})
    assert counts.json()["@odata.count"] == str(len(NAMES))


def test_a_selection_shows_some_properties(company: Service) -> None:
    answer = get(company, "Accounts", select="plan, account_id", top=1).json()
    assert answer["@odata.context"].endswith("#Accounts(plan,account_id)")
    assert list(answer["value"][0]) == ["plan", "account_id"]
    assert get(company, "Accounts", select="*", top=1).json() == get(company, "Accounts", top=1).json()


@pytest.mark.parametrize(
    "accept", ["text/html", "application/atom+xml", "application/json;odata.metadata=most", "application/json;q=0"]
)
def test_what_there_is_no_form_for_is_not_acceptable(accept: str, service: Service) -> None:
    answer = get(service, "Accounts", headers={"Accept": accept})
    assert (answer.status_code, error(answer)["code"]) == (406, "not_acceptable")
    assert get(service, "Accounts", format="atom").status_code == 406


def test_only_clients_of_version_4_are_answered(service: Service) -> None:
    for headers in (
        {"OData-MaxVersion": "4.0"},
        {"OData-MaxVersion": "4.01"},
        {"OData-Version": "4.0"},
        {"MaxDataServiceVersion": "3.0"},
    ):
        answer = get(service, "Accounts", headers=headers)
        assert answer.status_code == 200 and answer.headers.get_list("odata-version") == ["4.0"]
    for headers in ({"OData-MaxVersion": "3.0"}, {"OData-MaxVersion": "x"}, {"OData-Version": "5.0"}):
        answer = get(service, "Accounts", headers=headers)
        assert (answer.status_code, error(answer)["code"]) == (400, "odata_version")


@pytest.mark.parametrize(
    "name", ["apply", "search", "expand", "compute", "deltatoken", "levels", "index", "schemaversion"]
)
def test_options_of_the_protocol_that_are_not_supported_are_named(name: str, service: Service) -> None:
    for option in (f"${name}", name, f"${name.upper()}"):
        answer = get(service, "Accounts", **{option: "x"})
        assert answer.status_code == 501
        assert error(answer)["code"] == "unsupported_option" and f"${name}" in error(answer)["message"]


@pytest.mark.parametrize(
    ("parameters", "code", "target"),
    [
        ({"$filtr": "1"}, "unknown_option", "$filtr"),
        ({"$top": "-1"}, "invalid_option", "$top"),
        ({"$top": "1.5"}, "invalid_option", "$top"),
        ({"$skip": ""}, "invalid_option", "$skip"),
        ({"$count": "yes"}, "invalid_option", "$count"),
        ({"$select": "nam"}, "unknown_property", "$select"),
        ({"$orderby": "nam"}, "unknown_property", "$orderby"),
        ({"$orderby": "name up"}, "invalid_filter", "$orderby"),
        ({"$filter": "name"}, "invalid_filter", "$filter"),
        ({"$filter": "name eq"}, "invalid_filter", "$filter"),
        ({"$filter": "name eq 5"}, "invalid_filter", "$filter"),
        ({"$filter": "attributes eq 'x'"}, "invalid_filter", "$filter"),
        ({"$filter": "name add 'x' eq 'y'"}, "invalid_filter", "$filter"),
        ({"$filter": "any(x:x eq 1)"}, "invalid_filter", "$filter"),
        ({"$filter": "name eq 'x\0'"}, "invalid_filter", "$filter"),
        ({"$skiptoken": "x"}, "invalid_cursor", "$skiptoken"),
        ({"group_by": "plan"}, "extra_forbidden", "group_by"),
    ],
)
def test_a_fault_says_where_it_is(parameters: dict[str, str], code: str, target: str, service: Service) -> None:
    answer = service.request("GET", f"{ROOT}/Accounts", params=parameters)
    assert answer.status_code == 400
    fault = error(answer)
    assert (fault["code"], fault["target"]) in ((code, target), ("invalid", target))


def test_the_nearest_names_are_in_the_error(service: Service) -> None:
    answer = get(service, "MetricValues", filter="metric eq 'npss' and granularity eq 'months'")
    assert error(answer)["innererror"]["did_you_mean"][0] == "nps"
    assert {own["code"] for own in error(answer)["details"]} == {"unknown_metric", "invalid_granularity"}
    assert error(get(service, "Account"))["innererror"]["did_you_mean"][0] == "Accounts"
    assert error(get(service, "MetricValues", filter="group_by eq 'plann'"))["code"] == "unrecorded_attribute"


def test_options_need_no_dollar_and_may_be_in_any_case(company: Service) -> None:
    expected = get(company, "Accounts", filter="seats gt 20", orderby="seats desc", top=2).json()
    for names in (("filter", "orderby", "top"), ("$FILTER", "$OrderBy", "$Top")):
        params = dict(zip(names, ("SEATS".lower() + " GT 20", "seats DESC", "2"), strict=True))
        assert company.request("GET", f"{ROOT}/Accounts", params=params).json()["value"] == expected["value"]
    twice = company.request("GET", f"{ROOT}/Accounts?$top=1&top=2")
    assert error(twice)["code"] == "repeated"


def test_head_and_options_are_answered(service: Service) -> None:
    for path in ("", "/", "/$metadata", "/Accounts", "/Accounts/$count"):
        head, whole = (service.request(method, ROOT + path) for method in ("HEAD", "GET"))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
        options = service.request("OPTIONS", ROOT + path)
        assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
        assert options.headers.get_list("odata-version") == ["4.0"]
    answer = service.request("POST", f"{ROOT}/Accounts", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Accounts", 200),
        ("GET", "/Accounts?$top=x", 400),
        ("GET", "/Nothing", 404),
        ("GET", "/a/b/c", 404),
        ("POST", "/Accounts", 405),
    ],
)
def test_every_response_names_the_version_once(method: str, path: str, status: int, service: Service) -> None:
    answer = service.request(method, ROOT + path)
    assert (answer.status_code, answer.headers.get_list("odata-version")) == (status, ["4.0"])


def test_what_is_known_already_is_not_sent_again(service: Service) -> None:
    service.send(session("old"))
    first = get(service, "Accounts")
    again = get(service, "Accounts", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    service.send(session("new"))
    assert get(service, "Accounts", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_a_missing_key_is_asked_for_as_bi_tools_expect(service: Service) -> None:
    for path in ("", "/", "/$metadata", "/Accounts", "/MetricValues"):
        answer = service.request("GET", ROOT + path, headers={"Authorization": ""})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert error(answer)["code"] == "unauthenticated"


def test_a_key_may_be_user_password_token_or_option(service: Service) -> None:
    own = create_key(service, "read")["key"]
    for pair in (f"{own}:", f"anybody:{own}", f"{own}:anything"):
        token = base64.b64encode(pair.encode()).decode()
        answer = service.request("GET", f"{ROOT}/Accounts", headers={"Authorization": f"Basic {token}"})
        assert answer.status_code == 200
    for path in ("/", "/$metadata", "/Accounts", "/MetricValues", "/Accounts/$count"):
        answer = service.request("GET", ROOT + path, params={"api_key": own}, headers={"Authorization": ""})
        assert answer.status_code == 200 and own not in answer.text


@pytest.fixture
def behind_a_proxy(service: Service) -> Iterator[Service]:
    settings = service.app.state.settings
    service.app.state.settings = settings.model_copy(update={"public_url": "https://csm.example.com"})
    yield service
    service.app.state.settings = settings


def test_links_are_absolute_and_begin_with_the_public_url(behind_a_proxy: Service) -> None:
    behind_a_proxy.send(*(session(name) for name in ("a", "b", "c")))
    own = create_key(behind_a_proxy, "read")["key"]
    headers = {"Prefer": "odata.maxpagesize=2", "Authorization": "", "Host": "evil.example.com"}
    answer = get(
        behind_a_proxy,
        "Accounts",
        filter="account_id ne 'x y'",
        select="account_id",
        count="true",
        api_key=own,
        headers=headers,
    )
    body = answer.json()
    assert body["@odata.context"] == f"https://csm.example.com{ROOT}/$metadata#Accounts(account_id)"
    link = body["@odata.nextLink"]
    assert link.startswith(f"https://csm.example.com{ROOT}/Accounts?") and own not in link and "evil" not in answer.text
    assert body["@odata.count"] == 3 and answer.headers["preference-applied"] == "odata.maxpagesize=2"
    path = link.removeprefix("https://csm.example.com")
    rest = behind_a_proxy.request("GET", path, headers={"Authorization": f"Bearer {ADMIN_KEY}"}).json()
    assert [own["account_id"] for own in rest["value"]] == ["c"] and "@odata.count" not in rest


@pytest.mark.parametrize("name", SETS)
def test_pages_are_the_whole_in_parts(name: str, company: Service) -> None:
    whole = rows(company, name)
    orders = {"Surveys": "kind", "Health": "mrr", "Scorecard": "value"}
    order = orders.get(name, f"{ENTITY_SETS.by_name[name].key[0]}")
    # The smallest page, and pages of which the last one is full or not.
    for size in (1, 3) if len(whole) < 12 else (len(whole) // 5,):
        headers = {"Prefer": f"maxpagesize={size}"}
        assert rows(company, name, headers=headers) == whole
        for direction in ("", " desc"):
            ordered = rows(company, name, orderby=order + direction, headers=headers)
            assert sorted(map(str, ordered)) == sorted(map(str, whole))
            assert ordered == rows(company, name, orderby=order + direction)


def test_top_and_skip_hold_over_all_pages(company: Service) -> None:
    names = [row["account_id"] for row in rows(company, "Accounts")]
    customers = [row["account_id"] for row in rows(company, "Health")][::-1]
    for top in (0, 1, 5, 100):
        for skip in (0, 3, 100):
            found = rows(company, "Accounts", top=top, skip=skip, headers={"Prefer": "maxpagesize=2"})
            assert [row["account_id"] for row in found] == names[skip : skip + top]
            scores = rows(
                company, "Health", top=top, skip=skip, orderby="account_id desc", headers={"Prefer": "maxpagesize=2"}
            )
            assert [row["account_id"] for row in scores] == customers[skip : skip + top]


def test_writes_between_two_pages_shift_nothing(service: Service) -> None:
    service.send(*(session(f"a{number}") for number in range(0, 20, 2)), *(session("z", id=f"s{n}") for n in range(2)))
    for order in ({}, {"orderby": "account_id desc"}):
        headers = {"Prefer": "maxpagesize=3"}
        body = get(service, "Accounts", headers=headers, **order).json()
        found = [own["account_id"] for own in body["value"]]
        before = {own["account_id"] for own in rows(service, "Accounts")}
        number = 0
        while link := body.get("@odata.nextLink"):
            number += 1
            service.send(session(f"a{number}x{len(order)}"), session(f"0{number}{len(order)}"))
            body = service.request("GET", link, headers=headers).json()
            found += [own["account_id"] for own in body["value"]]
        assert len(found) == len({*found}) and before <= {*found}
        assert found == sorted(found, reverse=bool(order))


def test_a_link_belongs_to_its_query(company: Service) -> None:
    body = get(company, "Accounts", filter="vip eq true", top=2, headers={"Prefer": "maxpagesize=1"}).json()
    token = body["@odata.nextLink"].partition("$skiptoken=")[2]
    for parameters in ({}, {"filter": "vip eq false"}, {"filter": "vip eq true", "orderby": "name"}):
        answer = get(company, "Accounts", **parameters, **{"$skiptoken": token})
        assert error(answer)["code"] == "invalid_cursor"
    assert error(get(company, "Health", **{"$skiptoken": token}))["code"] == "invalid_cursor"


def test_odata_describes_itself_and_is_not_in_the_openapi_document(service: Service) -> None:
    document = service.get("/openapi.json")
    assert not [path for path in document["paths"] if path.startswith("/odata")]
    assert f"{ROOT}/$metadata" in document["info"]["description"]
