"""What a server is asked to tell by itself: monitored items, and the publish requests it answers with what changed.

asyncua's own subscription keeps one publish request under way, decodes 20 µs a value, drops the oldest silently when
its queue is full, and comes back empty after a failed recreate. So this one asks by itself, several requests ahead, and
hands every response on before the next is asked for: there is no queue on this side. It is never mended: what breaks is
said once, and the whole client is built anew.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes, get_name_and_doc
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, variant_from_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from davylamp_edge.drivers import DeviceUnreachable
from davylamp_edge.drivers.opcua_session import Session, said
from davylamp_edge.notification import Malformed, Notification, decode

AHEAD = 3
"""Publish requests under way at once: the server never waits for one, also where an answer takes its time."""
KEEPALIVES = 10
"""Publishing intervals after which a server with nothing to say says so."""
LIFETIMES = 60
"""Publishing intervals after which a server forgets a subscription nobody asks it about; at least 3 × keepalive."""
SILENT_KEEPALIVES = 3
"""Keepalives that may be missing before a subscription counts as dead."""
STALL_S = 5.0
"""How long a link may stall without a value lost: the server's queues are that long."""
MONITORED = 500
"""Items asked for in one call, where the server does not say how many it takes."""
MOST_A_RESPONSE = 1000
"""Values in one response: decoding more would keep other lines waiting."""


@dataclass(frozen=True, slots=True)
class Item:
    """One node to monitor. `handle` is what its values come back with."""

    handle: int
    node: ua.NodeId
    sampling_s: float

    def queue(self, publish_s: float) -> int:
        """Return how many samples the server must keep so that none is lost between two responses."""
        return math.ceil(max(publish_s, STALL_S) / self.sampling_s)


@dataclass(slots=True)
class _Told:
    """One subscription of the server: what it promised, and when it was last heard."""

    keepalive_s: float
    heard_s: float
    sequence: int | None = None


class Subscription:
    """The monitored items of one session. `on_data` gets every response in order; `broken` says why it is over."""

    def __init__(self, session: Session, publish_s: float, on_data: Callable[[Notification], None]) -> None:
        self._session = session
        self._publish_s = publish_s
        self._on_data = on_data
        self._told: dict[int, _Told] = {}
        self._acknowledge: list[ua.SubscriptionAcknowledgement] = []
        self._asking: set[asyncio.Task[Buffer]] = set()
        self._loop = asyncio.get_running_loop()
        self.broken: asyncio.Future[str] = self._loop.create_future()

    async def open(self, items: Sequence[Item]) -> dict[int, int]:
        """Subscribe; return the StatusCodes of the handles the server refuses. Raises: DeviceUnreachable.

        A server may take only so many items in one subscription; the rest goes into another.
        """
        refused: dict[int, int] = {}
        left = items
        while left:
            number = await self._create()
            answers = await self.monitor(number, left)
            full = {handle for handle, code in answers.items() if code == StatusCodes.BadTooManyMonitoredItems}
            refused |= answers
            if not full or len(full) == len(left):
                break
            left = [item for item in left if item.handle in full]
            refused = {handle: code for handle, code in refused.items() if handle not in full}
        for _ in range(AHEAD):
            self._ask()
        return refused

    async def retry(self, items: Sequence[Item]) -> dict[int, int]:
        """Ask again for items that were refused; return those that still are. Raises: DeviceUnreachable."""
        return await self.monitor(next(reversed(self._told)), items)

    async def _create(self) -> int:
        parameters = ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = ua.Duration(self._publish_s * 1000)
        parameters.RequestedMaxKeepAliveCount = ua.UInt32(KEEPALIVES)
        parameters.RequestedLifetimeCount = ua.UInt32(LIFETIMES)
        parameters.MaxNotificationsPerPublish = ua.UInt32(MOST_A_RESPONSE)
        parameters.PublishingEnabled = True
        request = ua.CreateSubscriptionRequest(Parameters=parameters)
        response = await self._answer(request, ua.CreateSubscriptionResponse)
        given: ua.CreateSubscriptionResult = response.Parameters
        keepalive_s = max(given.RevisedPublishingInterval / 1000, 0.001) * max(given.RevisedMaxKeepAliveCount, 1)
        self._told[given.SubscriptionId] = _Told(keepalive_s, self._loop.time())
        return int(given.SubscriptionId)

    async def monitor(self, number: int, items: Sequence[Item]) -> dict[int, int]:
        """Monitor items, as many in a call as the server takes; return the StatusCodes of those it refuses."""
        refused: dict[int, int] = {}
        most = min(MONITORED, self._session.most_monitored or MONITORED)
        for start in range(0, len(items), most):
            chunk = items[start : start + most]
            request = ua.CreateMonitoredItemsRequest()
            request.Parameters.SubscriptionId = ua.IntegerId(number)
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
            request.Parameters.ItemsToCreate = [_asked(item, self._publish_s) for item in chunk]
            response = await self._answer(request, ua.CreateMonitoredItemsResponse)
            codes = [result.StatusCode.value for result in response.Results]
            codes += [StatusCodes.BadUnexpectedError] * (len(chunk) - len(codes))
            refused |= {item.handle: code for item, code in zip(chunk, codes, strict=False) if code >> 30}
        return refused

    async def _answer(self, request: Any, kind: type[Any]) -> Any:
        try:
            response = struct_from_binary(kind, await self._session.client.uaclient.session._send_request(request))
            response.ResponseHeader.ServiceResult.check()
        except (TimeoutError, OSError, UaError) as error:
            raise DeviceUnreachable(f"{self._session.server}: {said(error)}") from None
        return response

    def silent(self) -> str | None:
        """Return which subscription has not been heard for too long, or None."""
        now_s = self._loop.time()
        for number, told in self._told.items():
            quiet_s = now_s - told.heard_s
            if quiet_s > SILENT_KEEPALIVES * told.keepalive_s + self._publish_s:
                return f"{self._session.server}: subscription {number} has been silent for {quiet_s:.0f} s"
        return None

    def _ask(self) -> None:
        """Send a publish request, with what may be forgotten; its answer comes by itself."""
        protocol = self._session.client.uaclient.protocol
        if protocol is None or self.broken.done():
            return self._break("connection lost")
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements, self._acknowledge = self._acknowledge, []
        task = self._loop.create_task(protocol.send_request(request, timeout=0))
        self._asking.add(task)
        task.add_done_callback(self._answered)
        return None

    def _answered(self, task: "asyncio.Task[Buffer]") -> None:
        self._asking.discard(task)
        if task.cancelled() or ((error := task.exception()) is not None and self.broken.done()):
            return
        try:
            if error is not None:
                raise error
            self._hand_on(_notification(task.result()))
        except UaStatusCodeError as fault:
            self._refused(fault)
        except Exception as error:  # A task's error must not vanish in the loop: it ends the subscription.
            self._break(said(error))
        else:
            self._ask()

    def _refused(self, fault: UaStatusCodeError) -> None:
        """Take a fault in place of an answer: too many requests are a matter of fewer, a time-out of asking again."""
        if fault.code == StatusCodes.BadTimeout:
            self._ask()
        elif fault.code != StatusCodes.BadTooManyPublishRequests or not self._asking:
            self._break(said(fault))

    def _hand_on(self, found: Notification) -> None:
        told = self._told.get(found.subscription)
        if told is None:
            return
        told.heard_s = self._loop.time()
        if found.is_data:
            self._follow(found, told)
        if found.ended is not None:
            self._break(f"the server ended the subscription: {get_name_and_doc(found.ended)[0]}")
        self._on_data(found)
        if found.is_data:
            acknowledged = ua.SubscriptionAcknowledgement(found.subscription, ua.Counter(found.sequence))
            self._acknowledge.append(acknowledged)

    def _follow(self, found: Notification, told: _Told) -> None:
        """See that no notification is missing. A new client gets every value afresh, which no repair would."""
        if told.sequence is not None and found.sequence not in (told.sequence + 1, 1):
            self._break(f"notifications {told.sequence + 1} to {found.sequence - 1} never came")
        told.sequence = found.sequence

    def _break(self, why: str) -> None:
        if not self.broken.done():
            self.broken.set_result(f"{self._session.server}: {why}")

    def close(self) -> None:
        """Ask no more. The session's end ends the server's side of it."""
        self._break("closed")
        for task in self._asking:
            task.cancel()


def _asked(item: Item, publish_s: float) -> ua.MonitoredItemCreateRequest:
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor = ua.ReadValueId(NodeId=item.node, AttributeId=AttributeIds.Value)
    request.MonitoringMode = ua.MonitoringMode.Reporting
    parameters = request.RequestedParameters
    parameters.ClientHandle = ua.IntegerId(item.handle)
    parameters.SamplingInterval = ua.Duration(item.sampling_s * 1000)
    parameters.QueueSize = ua.Counter(item.queue(publish_s))
    parameters.DiscardOldest = True
    return request


def _notification(data: Buffer) -> Notification:
    """Return a publish response as it came off the wire. Raises: UaStatusCodeError, Malformed."""
    nodeid_from_binary(data)
    header: ua.ResponseHeader = struct_from_binary(ua.ResponseHeader, data)
    header.ServiceResult.check()
    return decode(data.read(len(data)), _variant)


def _variant(body: bytes, at: int) -> tuple[Any, int]:
    """Return any variant, and where it ends."""
    buffer = Buffer(body, at)
    try:
        variant = variant_from_binary(buffer)
    except UaError as error:
        raise Malformed(str(error)) from None
    return variant.Value, buffer.cur_pos
