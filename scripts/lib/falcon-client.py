"""CrowdStrike's own client against the lab's emulator: reads hosts and scores, prints them as one JSON object.

usage: falcon-client.py BASE-URL CLIENT-ID CLIENT-SECRET
"""

import json
import sys

from falconpy import Hosts, OAuth2, ZeroTrustAssessment

base, client_id, client_secret = sys.argv[1:]
login = OAuth2(base_url=base, client_id=client_id, client_secret=client_secret)
login.token()
# The token answer names a region, and the client moves on to that region's public address; the emulator is here.
login.base_url = base
hosts = Hosts(auth_object=login)
zero_trust = ZeroTrustAssessment(auth_object=login)


def good(answer):
    """The body of an answer that went well."""
    if answer["status_code"] != 200 or answer["body"].get("errors"):
        sys.exit(f"falcon-client: {answer['status_code']} {answer['body'].get('errors')}")
    return answer["body"]


scrolled, offset = [], None
while True:
    page = good(hosts.query_devices_by_filter_scroll(limit=1, **({"offset": offset} if offset else {})))
    scrolled += page["resources"]
    offset = page["meta"]["pagination"]["offset"]
    if not offset or not page["resources"]:
        break

scores, after = {}, None
while True:
    arguments = {"filter": "score:>=1", "sort": "score|desc", "limit": 1}
    page = good(zero_trust.get_assessments_by_score(**arguments, **({"after": after} if after else {})))
    scores |= {entry["aid"]: entry["score"] for entry in page["resources"]}
    after = page["meta"]["pagination"]["after"]
    if not after or not page["resources"]:
        break

combined = good(hosts.query_devices_by_filter_combined(limit=10, sort="hostname.asc"))["resources"]
details = good(hosts.get_device_details(ids=scrolled))["resources"]
by_name = good(hosts.query_devices_by_filter(filter="hostname:'alice-laptop'"))["resources"]
states = good(hosts.get_online_state(ids=scrolled))["resources"]
assessments = good(zero_trust.get_assessment(ids=scrolled))["resources"]
audit = good(zero_trust.get_audit())["resources"]
unknown = zero_trust.get_assessment(ids=["f" * 32])
limit = hosts.query_devices_by_filter(limit=1)["headers"]

json.dump(
    {
        "token_status": login.token_status,
        "scrolled": scrolled,
        "scores": scores,
        "combined": sorted(host["hostname"] for host in combined),
        "serials": {host["device_id"]: host["serial_number"] for host in details},
        "by_name": by_name,
        "states": [state["state"] for state in states],
        "overall": {entry["aid"]: entry["assessment"]["overall"] for entry in assessments},
        "assessed": audit[0]["num_aids"],
        "unknown": [error["code"] for error in unknown["body"]["errors"]],
        "limit": limit["X-RateLimit-Limit"],
        "revoked": login.revoke(login.token_value)["status_code"],
    },
    sys.stdout,
)
