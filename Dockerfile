# Penstock's image: the pinned requirements, the package, and a user of its own.
# To pin the base by digest: docker buildx imagetools inspect python:3.12.12-slim-bookworm

FROM python:3.12.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
RUN python -m venv /opt/penstock
WORKDIR /src
# Apart from the code, so that a change of the code installs nothing anew.
COPY requirements.txt ./
RUN /opt/penstock/bin/python -m pip install --require-hashes -r requirements.txt
COPY pyproject.toml requirements.in README.md LICENSE ./
COPY state ./state
COPY monitoring ./monitoring
COPY connectors ./connectors
COPY flows ./flows
RUN /opt/penstock/bin/python -m pip install --no-deps --no-index --no-build-isolation .
RUN /opt/penstock/bin/python -m pip uninstall --yes setuptools wheel pip

FROM python:3.12.12-slim-bookworm
RUN python -m pip uninstall --yes pip \
    && groupadd --system --gid 10001 penstock \
    && useradd --system --uid 10001 --gid penstock --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin penstock \
    && install --directory --owner=penstock --group=penstock --mode=0750 /var/lib/penstock
COPY --from=build /opt/penstock /opt/penstock
ENV PATH=/opt/penstock/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/penstock
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --retries=3 --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/readyz', timeout=3)"]
ENTRYPOINT ["penstock"]
CMD ["run"]
