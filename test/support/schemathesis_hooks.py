"""
How schemathesis makes a Content-Digest. Left alone, its coverage phase makes headers of letters and digits only; where a
pattern wants others it takes a malformed value and still expects the request to be accepted.
"""

import base64

import schemathesis
from hypothesis import strategies as st

digests = st.binary(min_size=32, max_size=32).map(lambda sha256: f"sha-256=:{base64.b64encode(sha256).decode()}:")
others = st.sampled_from(["", "md5=:AAAA:, ", "sha-512=:AAAA:,\t"])

schemathesis.openapi.format("content-digest", st.tuples(others, digests).map("".join))
