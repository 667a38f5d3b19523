import pytest

from agent.boot_mode.kernel_command_line import parse_boot_parameters
from agent.errors import RequestError

REQUEST = "byoi.request=http://deploy.example/request"


def test_what_is_ours_is_taken_and_the_rest_is_left() -> None:
    found = parse_boot_parameters(
        f"BOOT_IMAGE=/vmlinuz console=ttyS0 {REQUEST}?a=1&b=2 byoi.status=https://deploy.example/status"
        " byoi.token=s3cret byoi.service=ns1.example quiet\n"
    )
    assert found.request_url == "http://deploy.example/request?a=1&b=2"
    assert found.status_url == "https://deploy.example/status"
    assert (found.token, found.service, found.faults) == ("s3cret", "ns1.example", ())


def test_only_a_request_is_needed() -> None:
    found = parse_boot_parameters(REQUEST)
    assert (found.status_url, found.token, found.service) == (None, None, None)


@pytest.mark.parametrize("text", ["", "quiet", "byoi.status=http://a/"])
def test_without_a_request_it_says_so(text: str) -> None:
    assert "byoi.request is not on it" in hindrance(text)


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "deploy.example/request", "http://", "http://[::1/x"]
)
def test_a_request_comes_from_a_server(url: str) -> None:
    assert "byoi.request is not an http or https URL." in hindrance(f"byoi.request={url}")


@pytest.mark.parametrize(
    "word",
    [
        "byoi.config=http//a/groups",
        "byoi.config=",
        "byoi.config",
        "byoi.confg=http://a/groups",
        "byoi.Config=http://a/",
    ],
)
def test_without_the_disk_groups_that_were_meant_nothing_is_deployed(word: str) -> None:
    assert word.partition("=")[0] in hindrance(f"{REQUEST} {word}")
    assert hindrance(REQUEST) == ""


@pytest.mark.parametrize("name", ["request", "config"])
def test_a_server_that_can_not_be_told_from_others_deploys_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.boot_mode.kernel_command_line.filled", lambda text: (text, ["serial"]))
    assert "does not tell its serial" in hindrance(f"{REQUEST} byoi.{name}=http://a/{{serial}}")


def hindrance(text: str) -> str:
    """What is in the way of a deployment; nothing where it can begin."""
    try:
        parse_boot_parameters(text).require_usable()
    except RequestError as error:
        return error.detail
    return ""


def test_a_status_that_can_not_be_posted_costs_no_deployment() -> None:
    found = parse_boot_parameters(f"{REQUEST} byoi.status=ftp://deploy.example/")
    assert found.status_url is None
    assert found.faults == ("byoi.status is not an http or https URL, so no status is posted.",)


def test_of_two_the_last_counts() -> None:
    found = parse_boot_parameters(f"byoi.request=http://first/ {REQUEST} byoi.service=a byoi.service=b")
    assert found.request_url == "http://deploy.example/request"
    assert found.service == "b"


def test_the_kernels_quotation_marks() -> None:
    found = parse_boot_parameters(
        f'"byoi.service=rack 3" {REQUEST} byoi.token=it\'s\\n#1 dyndbg="a byoi.no=1"'
    )
    assert (found.service, found.token, found.faults) == ("rack 3", "it's\\n#1", ())


def test_a_mark_that_is_not_closed_does_not_cost_the_request() -> None:
    assert parse_boot_parameters(f'{REQUEST} dyndbg="file a').request_url == "http://deploy.example/request"


def test_a_slip_of_the_pen_is_named() -> None:
    assert parse_boot_parameters(f"{REQUEST} byoi.statsu=http://a/").faults == (
        "byoi.statsu is not known. Is byoi.status meant?",
    )


def test_no_secret_is_shown() -> None:
    shown = repr(parse_boot_parameters(f"{REQUEST}?key=s3cret byoi.token=s3cret"))
    assert "s3cret" not in shown


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0mM2tXZk8pT3vQ9k1b0uYlqkR6eJ8m8kq8o0bq3m3Y me@home"


def test_keys_for_the_rescue_system_are_looked_at() -> None:
    good = KEY.replace(" ", "%20")
    assert parse_boot_parameters(f'{REQUEST} byoi.ssh-key={good} byoi.ssh-key="{KEY}"').faults == ()
    for bad in (KEY, good[:-40], "-----BEGIN%20OPENSSH%20PRIVATE%20KEY-----"):
        (fault,) = parse_boot_parameters(f"{REQUEST} byoi.ssh-key={bad} byoi.ssh-key={good}").faults
        assert fault.startswith("byoi.ssh-key is not an OpenSSH public key")
        assert bad[:20] not in fault


def test_the_disk_group_file_comes_from_a_server() -> None:
    found = parse_boot_parameters(f"{REQUEST} byoi.config=http://deploy.example/groups.toml")
    assert (found.config_url, found.prepares_only) == ("http://deploy.example/groups.toml", False)
    assert parse_boot_parameters("byoi.config=http://deploy.example/groups.toml").prepares_only
