"""Quotas: nothing is limited, and that is what is said."""

from warren.testing.api_server import Client


def test_a_quota_says_that_nothing_is_limited_and_how_much_is_there(admin: Client, alice: Client, bob: Client) -> None:
    alice.create("network")
    project = alice.project_id
    limits = {client.call("GET", f"quotas/{project}").body["quota"]["network"] for client in (alice, admin)}
    assert limits == {alice.call("GET", f"quotas/{project}/default").body["quota"]["network"]} == {-1}
    details = alice.call("GET", f"quotas/{project}/details").body["quota"]["network"]
    assert details == {"limit": -1, "used": len(alice.list(f"networks?project_id={project}")), "reserved": 0}
    assert {bob.call("GET", f"quotas/{project}{more}").status for more in ("", "/default", "/details")} == {403}
    assert alice.call("GET", f"quotas/{project}/nothing").status == 404
    for client, words in ((admin, "limits no project"), (alice, "needs the admin role")):
        for method, body in (("PUT", {"quota": {"network": 1}}), ("DELETE", None)):
            refused = client.call(method, f"quotas/{project}", body)
            assert refused.status == 403
            assert words in refused.body["NeutronError"]["message"]
    assert admin.list("quotas") == []
