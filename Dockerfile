# VARIANT=cpu: torch's CPU build, OpenVINO. VARIANT=gpu: torch with its own CUDA libraries, no driver.
ARG VARIANT=cpu

FROM python:3.11-slim-bookworm AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PIP_CONSTRAINT=/build/constraints.txt
WORKDIR /build
COPY constraints.txt ./

FROM base AS requirements
ARG VARIANT
COPY pyproject.toml ./
# With the extra `train`: a training job runs the same image.
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; deps = project['dependencies'] + [one for extra in ('serve', 'train') for one in project['optional-dependencies'][extra]]; print('\n'.join(d for d in deps if not d.startswith('sweetspot-clip') and ('$VARIANT' == 'cpu' or d != 'openvino')))" > requirements.txt

# What changes seldom: everything that is not our own code.
FROM base AS packages
ARG VARIANT
# The wheel index of torch's CPU build; empty is pip's own configuration.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# The version is that of PIP_CONSTRAINT.
# hadolint ignore=DL3013
RUN if [ "$VARIANT" = gpu ] || [ -z "$TORCH_INDEX" ]; then set --; else set -- --index-url "$TORCH_INDEX"; fi \
    && pip install --no-compile --target /srv/packages "$@" torch
COPY --from=requirements /build/requirements.txt ./
# Into a folder of its own, since pip does not look at what a target already holds.
RUN PYTHONPATH=/srv/packages pip install --no-compile --prefix /srv/rest --no-warn-script-location -r requirements.txt \
    && cp -rn /srv/rest/lib/python3.11/site-packages/. /srv/packages/ \
    && rm -rf /srv/rest
# Headers, tests, compilers' needs, Arrow's servers: 0.25 GB that nothing here runs. Byte code is not checked against
# times of files, which copies and layers change: stale, half of it was compiled at every start. What is of a later Python stays as it is.
WORKDIR /srv/packages
RUN rm -rf torch/test torch/include torch/bin/protoc* torch/share bin \
    && rm -rf pyarrow/include pyarrow/src pyarrow/tests pyarrow/*flight* pyarrow/*cpp_tests* \
    && find pyarrow -name "*.p[yx][xi]" -delete \
    && find . -depth \( -name tests -o -name test \) -path "*/numpy/*" -exec rm -rf {} + \
    && find torch/lib -name "*test*.so" -delete \
    && find . -name "*.pyi" -delete \
    && { python -m compileall -qq -j 0 --invalidation-mode unchecked-hash . || true; }

FROM base AS app
RUN pip install "setuptools>=77"
COPY . .
RUN pip install --no-compile --no-deps --no-build-isolation --target /srv/app . \
    && python -m compileall -q --invalidation-mode unchecked-hash /srv/app

FROM python:3.11-slim-bookworm
# Nothing is written but under /tmp: the root file system may be read-only, the user nobody's.
# Two arenas: with glibc's own number the freed memory of images fetched is kept many times over.
ENV PATH=/srv/app/bin:$PATH PYTHONPATH=/srv/app:/srv/packages PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/tmp/cache HF_HOME=/tmp/cache/huggingface MALLOC_ARENA_MAX=2
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true
COPY --from=packages /srv/packages /srv/packages
COPY --from=app /srv/app /srv/app
EXPOSE 8080
HEALTHCHECK --start-period=120s --timeout=5s CMD ["python", "-c", "import os, urllib.request as http; port = os.environ.get('SAGEMAKER_BIND_TO_PORT') or os.environ.get('SWEETSPOT_PORT') or 8080; http.urlopen(f'http://127.0.0.1:{port}/ping', timeout=4)"]
ENTRYPOINT ["sweetspot"]
CMD ["serve"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title=sweetspot \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
