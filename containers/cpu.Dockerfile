# The image of every stage, for machines without a GPU. From the project's folder:
#   docker build -f containers/cpu.Dockerfile -t d3s-workflow-cpu:0.1.0 .
ARG BASE=docker.io/library/debian:bookworm-20250630-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# A folder of its own: Debian's Python refuses pip outside of one. It also gives "python", which the rules call.
ENV PATH=/opt/d3s/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONNOUSERSITE=1
COPY requirements.txt requirements-segmentation.txt /opt/
RUN python3 -m venv /opt/d3s \
    && python -m pip install -r /opt/requirements.txt -r /opt/requirements-segmentation.txt

# Apptainer runs as its caller, Docker as this user; neither may write to the environment. Caches go where both may.
RUN useradd --create-home --uid 1000 d3s
ENV HF_HOME=/tmp/d3s/huggingface \
    MPLCONFIGDIR=/tmp/d3s/matplotlib \
    XDG_CACHE_HOME=/tmp/d3s/cache
USER d3s
WORKDIR /work
CMD ["python", "--version"]
