# One image for all our Python services; docker-compose.yml says which one a container runs.
# The default is pinned to Python's minor version and Debian's release, so that a rebuild takes
# their security fixes; everything that is installed on top is locked with hashes.
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.txt /build/
RUN /venv/bin/pip install --quiet --require-hashes -r /build/requirements.txt
COPY pyproject.toml README.md LICENSE /build/
COPY contract /build/contract
COPY exporters /build/exporters
COPY generator /build/generator
COPY preview /build/preview
COPY responder /build/responder
COPY stack /build/stack
COPY examples /build/examples
RUN /venv/bin/pip install --quiet --no-deps --no-build-isolation /build

FROM ${BASE_IMAGE}
# A number as well as a name, so that Kubernetes' runAsNonRoot can tell.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin observer \
    && install -d -o 10001 -g 10001 /data
COPY --from=environment /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /data
USER 10001:10001
CMD ["python", "-m", "generator", "--help"]
