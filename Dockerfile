# Build: everything, then only what runs.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The scripts of dependencies are not needed here: better-sqlite3 ships its binary, and Node is the image's own.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN node scripts/build.ts && npm prune --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production \
    SEALIFT_DATA_DIRECTORY=/data \
    SEALIFT_LISTEN_HOST=0.0.0.0 \
    SEALIFT_ADMIN_HOST=127.0.0.1
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY config config
RUN ln -s /app/dist/cli/main.js /usr/local/bin/sealift && mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 7325
# The admin listener answers inside the container alone; its /readyz turns red when storage or records fail.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD node -e "fetch('http://127.0.0.1:7325/readyz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"
STOPSIGNAL SIGTERM
ENTRYPOINT ["sealift"]
CMD ["serve"]
