# Trackside as a container: `docker build -t trackside .`, then
#
#   docker run -p 127.0.0.1:8080:8080 -v trackside:/data trackside
#
# keeps a SQLite file and the master key in the volume. DATABASE_URL, REDIS_URL and TRACKSIDE_MASTER_KEY make it one
# of many instances instead; compose.yaml shows how. There is no VOLUME line because Railway refuses it.

# The dashboard's page, from its own packages and the API's specification.
FROM node:20-slim AS page
WORKDIR /build/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci
COPY web ./
COPY openapi /build/openapi
RUN npm run build

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# First the dependencies, from the manifests alone over empty sources: a layer that stays until a manifest changes.
# Cargo reads the manifest of every workspace member, those that the image does not need too.
COPY Cargo.toml Cargo.lock ./
COPY bench/Cargo.toml bench/
COPY entity/Cargo.toml entity/
COPY migration/Cargo.toml migration/
COPY tests/scratch/Cargo.toml tests/scratch/
RUN for crate in . bench entity migration tests/scratch; do mkdir -p $crate/src && touch $crate/src/lib.rs; done \
 && echo 'fn main() {}' | tee src/main.rs >bench/src/main.rs \
 && mkdir tests/it && touch tests/it/main.rs \
 && cargo build --locked --profile dist --package trackside

# Then Trackside itself. Its files may be older than the empty ones were, and cargo goes by age.
# There is no Node.js here: the page is taken as it was built above.
COPY --from=page /build/web/dist web/dist
COPY build.rs ./
COPY entity entity
COPY migration migration
COPY src src
RUN touch src/*.rs entity/src/*.rs migration/src/*.rs \
 && cargo build --locked --profile dist --package trackside \
 && target/dist/trackside --version | grep trackside

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /data trackside \
 && install --directory --owner trackside --mode 0700 /data
COPY --from=build /build/target/dist/trackside /usr/local/bin/trackside
USER trackside
WORKDIR /data
# PORT may be set from outside, as Railway does.
ENV HOST=0.0.0.0 \
    PORT=8080 \
    DATABASE_URL=sqlite:///data/trackside.db \
    TRACKSIDE_DATA_DIR=/data \
    LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s CMD ["trackside", "health"]
ENTRYPOINT ["trackside"]
CMD ["serve"]
