"""Microsoft's own client against the lab's Graph: reads managed devices and directory devices, prints one JSON object.

usage: graph-client.py BASE-URL TENANT CLIENT-ID CLIENT-SECRET      ends with 3 when it gets no token
"""

import asyncio
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator
from kiota_abstractions.authentication import BaseBearerTokenAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.device_management.managed_devices.managed_devices_request_builder import (
    ManagedDevicesRequestBuilder,
)
from msgraph.generated.devices.devices_request_builder import DevicesRequestBuilder
from msgraph.generated.models.o_data_errors.o_data_error import ODataError

base, tenant, client_id, client_secret = sys.argv[1:]


class LabToken(AccessTokenProvider):
    """The vendor's own credential classes refuse a login endpoint without TLS; the grant is the same."""

    async def get_authorization_token(self, uri, additional_authentication_context=None):
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": f"{base}/.default",
        }
        body = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"{base}/{tenant}/oauth2/v2.0/token", body, timeout=10) as answer:
            return json.load(answer)["access_token"]

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator(["127.0.0.1"])


async def pages(first, follow):
    """Every record of a list, by the links that it gives."""
    found, page = [], first
    while True:
        found += page.value
        if not page.odata_next_link:
            return found, page
        page = await follow(page.odata_next_link)


async def main():
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(LabToken()))
    adapter.base_url = f"{base}/v1.0"
    client = GraphServiceClient(request_adapter=adapter)

    managed = client.device_management.managed_devices
    query = ManagedDevicesRequestBuilder.ManagedDevicesRequestBuilderGetQueryParameters(top=2)
    first = await managed.get(RequestConfiguration(query_parameters=query))
    devices, _ = await pages(first, lambda link: managed.with_url(link).get())

    query = DevicesRequestBuilder.DevicesRequestBuilderGetQueryParameters(top=2)
    first = await client.devices.get(RequestConfiguration(query_parameters=query))
    directory, _ = await pages(first, lambda link: client.devices.with_url(link).get())
    one = await client.devices_with_device_id(directory[0].device_id).get()

    changes, last = await pages(
        await client.devices.delta.get(), lambda link: client.devices.delta.with_url(link).get()
    )
    later, _ = await pages(
        await client.devices.delta.with_url(last.odata_delta_link).get(),
        lambda link: client.devices.delta.with_url(link).get(),
    )
    try:
        await client.devices.by_device_id("b7d6ffff-0000-4000-8000-000000000000").get()
        unknown = None
    except ODataError as error:
        unknown = error.error.code

    json.dump(
        {
            "managed": {device.device_name: device.compliance_state.value for device in devices},
            "synced": all(device.last_sync_date_time is not None for device in devices),
            "directory": {device.display_name: device.is_compliant for device in directory},
            "trust": sorted({device.trust_type for device in directory}),
            "one": one.display_name,
            "changes": len(changes),
            "later": len(later),
            "unknown": unknown,
        },
        sys.stdout,
    )


try:
    asyncio.run(main())
except urllib.error.HTTPError as refusal:
    sys.exit(3 if refusal.code == 401 else 1)
