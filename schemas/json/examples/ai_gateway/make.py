#!/usr/bin/env python3
"""Makes the AI Gateway examples of this folder, encrypted by a library that has nothing to do with Weir's.

Needs the package `cryptography`. The keys in keys/ are for these examples and nothing else; they are made when they
are missing. Encryption is random: a new run gives other bytes, and with them other event ids in the golden rows.
"""

import base64
import json
import os
import pathlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FOLDER = pathlib.Path(__file__).parent
KEYS = FOLDER / "keys"
PKCS8 = serialization.PrivateFormat.PKCS8
PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def key(name, bits, form):
    path = KEYS / f"{name}.pem"
    if not path.exists():
        made = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        pem = made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        path.write_bytes(pem)
    return serialization.load_pem_private_key(path.read_bytes(), None).public_key()


class Log:
    """One log: a fresh AES key, wrapped once, and a nonce for each field."""

    def __init__(self, public_key):
        self.aes = AESGCM.generate_key(256)
        self.wrapped = public_key.encrypt(self.aes, OAEP)

    def seal(self, text):
        iv = os.urandom(12)
        data = AESGCM(self.aes).encrypt(iv, text.encode(), None)
        parts = {"key": self.wrapped, "iv": iv, "data": data}
        return {"type": "encrypted", **{name: base64.b64encode(part).decode() for name, part in parts.items()}}


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def write(name, record):
    (FOLDER / f"{name}.ndjson").write_text(compact(record) + "\n")


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Grüße, 世界"}], "user": "u-7"}
CHAT_ANSWER = {
    "id": "chatcmpl-AGW1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hallo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 420, "completion_tokens": 38, "total_tokens": 458,
              "prompt_tokens_details": {"cached_tokens": 0}},
}
MESSAGES = {"model": "claude-sonnet-4-20250514", "max_tokens": 64, "stream": True, "messages": []}
MESSAGES_ANSWER = "".join(
    f"event: {event['type']}\ndata: {compact(event)}\n\n"
    for event in [
        {"type": "message_start", "message": {
            "id": "msg_AGW2", "type": "message", "role": "assistant", "model": "claude-sonnet-4-20250514",
            "usage": {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2000,
                      "output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 30}},
        {"type": "message_stop"},
    ]
)


def base(**fields):
    return {"Cached": False, "RateLimited": False, "StatusCode": 200, "Gateway": "my-gateway", **fields}


def main():
    KEYS.mkdir(exist_ok=True)
    current = key("current", 2048, PKCS8)
    retired = key("retired", 3072, PKCS1)
    unknown = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()

    openai = {"Provider": "openai", "Model": "gpt-4o-mini", "Endpoint": "chat/completions"}
    log = Log(current)
    write("encrypted_chat", base(
        Datetime=1_790_000_000_123_456_789, **openai, Metadata=log.seal('{"user":"u-7","team":3,"cf.trace":"x"}'),
        RequestBody=log.seal(compact(CHAT)), ResponseBody=log.seal(compact(CHAT_ANSWER))))

    log = Log(retired)
    write("encrypted_text_stream_retired_key", base(
        Datetime="2026-09-21T14:13:21.5Z", Provider="anthropic", Model="claude-sonnet-4-20250514",
        Endpoint="v1/messages", Metadata=None, RequestBody=compact(log.seal(compact(MESSAGES))),
        ResponseBody=compact(log.seal(MESSAGES_ANSWER))))

    log = Log(unknown)
    write("encrypted_for_an_unknown_key", base(
        Datetime="1790000002000000000", **openai, Metadata=log.seal('{"user":"u-8"}'),
        RequestBody=log.seal(compact(CHAT)), ResponseBody=log.seal(compact(CHAT_ANSWER))))

    log = Log(current)
    response = log.seal(compact(CHAT_ANSWER))
    data = bytearray(base64.b64decode(response["data"]))
    data[len(data) // 2] ^= 1
    response["data"] = base64.b64encode(data).decode()
    write("encrypted_damaged_answer", base(
        Datetime=1_790_000_003, **openai, Metadata=log.seal('{"user":"u-9"}'),
        RequestBody=log.seal(compact(CHAT)), ResponseBody=response))

    write("plain_cache_hit", base(
        Datetime=1_790_000_004_000_000_000, **{**openai, "Gateway": "other_gateway"}, Metadata='{"user":"u-7"}',
        RequestBody=compact(CHAT), ResponseBody=compact(CHAT_ANSWER)) | {"Cached": "true", "RateLimited": "false"})

    write("plain_objects_no_gateway", {
        "Datetime": 1_790_000_005.25, "Provider": "openai", "Model": "gpt-4o-mini", "Endpoint": "chat/completions",
        "StatusCode": "200", "Cached": False, "Metadata": {"user": "u-7", "tags": ["a"]}, "RequestBody": CHAT,
        "ResponseBody": CHAT_ANSWER})

    write("plain_rate_limited", base(
        Datetime=1_790_000_006, **openai, Metadata={"key": "not-an-envelope"}, RequestBody=compact(CHAT),
        ResponseBody=compact({"success": False, "result": [], "messages": [],
                              "error": [{"code": 2003, "message": "Rate limited"}]}))
        | {"StatusCode": 429, "RateLimited": True})

    write("without_contents", base(Datetime=1_790_000_007_000, **openai))


if __name__ == "__main__":
    main()
