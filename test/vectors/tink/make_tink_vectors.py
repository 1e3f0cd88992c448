"""Vectors made with Google's Tink, and a check that Tink opens what Sealift seals. How to run: README.md."""

import argparse
import base64
import hashlib
import io
import json
import pathlib
import sys

import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2

HERE = pathlib.Path(__file__).resolve().parent
TYPE_URL = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
MAX_WRITTEN_BYTES = 16_384

# (ciphertext segment size, plaintext lengths): empty, tiny, and around every border. 4096 and 1 MiB are Tink's
# presets, 262144 is Sealift's default, 1500 is no power of two.
CASES = [
    (4096, [0, 1, 541, 4039, 4040, 4041, 8119, 8120, 8121, 12200, 12201]),
    (1500, [0, 1443, 1444, 1445, 2927, 2928, 2929]),
    (262_144, [1, 262_087, 262_088, 262_089, 524_216, 524_217]),
    (1_048_576, [0, 1_048_519, 1_048_520, 1_048_521, 2_097_080, 2_097_081, 3_000_000]),
]


def pattern(length: int) -> bytes:
    """The plaintext of every vector: byte i is (7 i + 13 floor(i / 256)) mod 256."""
    return bytes((7 * i + 13 * (i // 256)) % 256 for i in range(length))


def primitive(key: bytes, segment_bytes: int) -> streaming_aead.StreamingAead:
    """Tink's streaming AEAD with AES-256-GCM, HKDF-SHA256 and a 256-bit derived key, for this very key."""
    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=segment_bytes, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    proto = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=params, key_value=key)
    keyset = {
        "primaryKeyId": 1,
        "key": [
            {
                "keyData": {
                    "typeUrl": TYPE_URL,
                    "value": base64.b64encode(proto.SerializeToString()).decode(),
                    "keyMaterialType": "SYMMETRIC",
                },
                "status": "ENABLED",
                "keyId": 1,
                "outputPrefixType": "RAW",
            }
        ],
    }
    handle = tink.json_proto_keyset_format.parse(json.dumps(keyset), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


def associated_data(role: str) -> bytes:
    return f"sealift/1/{role}".encode()


class Kept(io.BytesIO):
    """A destination that is still readable after Tink has closed it."""

    def close(self) -> None:
        self.kept = self.getvalue()
        super().close()


def tink_seal(key: bytes, segment_bytes: int, role: str, plain: bytes) -> bytes:
    destination = Kept()
    stream = primitive(key, segment_bytes).new_encrypting_stream(destination, associated_data(role))
    with stream:
        stream.write(plain)
    return destination.kept


def tink_open(key: bytes, segment_bytes: int, role: str, sealed: bytes) -> bytes:
    source = io.BytesIO(sealed)
    with primitive(key, segment_bytes).new_decrypting_stream(source, associated_data(role)) as stream:
        return stream.read()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_vector(segment_bytes: int, length: int) -> dict:
    key = hashlib.sha256(f"tink vector {segment_bytes} {length}".encode()).digest()
    plain = pattern(length)
    sealed = tink_seal(key, segment_bytes, "media", plain)
    vector = {
        "name": f"Tink, {length} bytes in chunks of {segment_bytes}",
        "role": "media",
        "chunkBytes": segment_bytes,
        "key": key.hex(),
        "salt": sealed[1:33].hex(),
        "noncePrefix": sealed[33:40].hex(),
        "plainBytes": length,
        "plainSha256": sha256(plain),
        "header": sealed[:40].hex(),
        "sealedBytes": len(sealed),
        "sealedSha256": sha256(sealed),
    }
    if len(sealed) <= MAX_WRITTEN_BYTES:
        vector["sealed"] = base64.b64encode(sealed).decode()
    return vector


def make() -> bool:
    vectors = [make_vector(segment, length) for segment, lengths in CASES for length in lengths]
    text = "[\n" + ",\n".join(json.dumps(vector) for vector in vectors) + "\n]\n"
    (HERE / "tink.json").write_text(text)
    print(f"tink.json: {len(vectors)} vectors")
    return True


def opens(vector: dict, sealed: bytes) -> bool:
    """Whether Tink opens it; when the vector tells the plaintext, whether to exactly that."""
    try:
        plain = tink_open(bytes.fromhex(vector["key"]), vector["chunkBytes"], vector["role"], sealed)
    except Exception:  # Tink and its file adapter raise several classes: all of them are refusals.
        return False
    return vector.get("plainSha256", sha256(plain)) == sha256(plain)


def verify_folder(folder: pathlib.Path) -> bool:
    """What `seal-ours.ts` wrote: each opens, and not when its last byte is missing or its role is another."""
    good = 0
    vectors = json.loads((folder / "index.json").read_text())
    for vector in vectors:
        sealed = (folder / vector["file"]).read_bytes()
        refused = not opens(vector, sealed[:-1]) and not opens({**vector, "role": "manifest"}, sealed)
        good += opens(vector, sealed) and refused
    print(f"sealed by Sealift's own code: Tink opened {good} of {len(vectors)}, and refused them cut and misused")
    return good == len(vectors)


def verify_vectors() -> bool:
    """The committed vectors: the valid ones open; which of the forged ones Tink takes is printed."""
    whole = [vector for vector in json.loads((HERE.parent / "sealed.json").read_text()) if "sealed" in vector]
    good = sum(opens(vector, base64.b64decode(vector["sealed"])) for vector in whole)
    print(f"sealed.json: Tink opened {good} of {len(whole)} written out in full")
    forged = json.loads((HERE.parent / "forged.json").read_text())
    taken = [vector["name"] for vector in forged if opens(vector, base64.b64decode(vector["sealed"]))]
    print(f"forged.json: Tink alone refused {len(forged) - len(taken)} of {len(forged)}; it took:")
    print("\n".join(f"  - {name}" for name in taken))
    return good == len(whole)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["make", "verify"])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, help="verify: a folder that seal-ours.ts wrote")
    options = parser.parse_args()
    streaming_aead.register()
    if options.action == "make":
        return 0 if make() else 1
    results = [verify_vectors()]
    if options.folder is not None:
        results.append(verify_folder(options.folder))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
