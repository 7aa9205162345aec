#!/usr/bin/env bash
# @stoplight/spectral-cli 6.16.3: scopes of an OpenID Connect scheme, and roles of any other, are a fault.
#
# Guessed: of the security schemes of OpenAPI 3 only `oauth2` lists its scopes in the document, so only its scopes can be
# looked up. Those of `openIdConnect` are told by the discovery document, and OpenAPI 3.1 lets a requirement name roles of
# `http`, `apiKey` and `mutualTLS` too, "not otherwise defined" (Security Requirement Object).
# Seen: the rule `oas3-operation-security-defined` of `spectral:oas` looks for a list of scopes in every scheme, finds none, and
# warns of each scope and role: in 3.0, 3.1 and 3.2 alike, also where the document is right. There is no way to write the
# scopes of OpenID Connect that it accepts but to leave them out. Redocly CLI 2.77.0 finds nothing wrong with the same documents.
# A document that is to pass both tells the scope in words, in the description of the operation.
#
# Output seen:
#   3.0.3 openIdConnect: spectral "write" must be listed among scopes.; redocly nothing
#   3.1.0 openIdConnect: spectral "write" must be listed among scopes.; redocly nothing
#   3.1.0 http: spectral "write" must be listed among scopes.; redocly nothing
#   3.1.0 apiKey: spectral "write" must be listed among scopes.; redocly nothing
#   3.1.0 oauth2: spectral nothing; redocly nothing
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent --ignore-scripts @stoplight/spectral-cli@6.16.3 @redocly/cli@2.77.0
echo 'extends: ["spectral:oas"]' >.spectral.yaml
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
cat >run.mjs <<'JS'
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const schemes = {
  openIdConnect: {
    type: 'openIdConnect',
    openIdConnectUrl: 'https://example.org/.well-known/openid-configuration',
  },
  http: { type: 'http', scheme: 'bearer' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-Key' },
  oauth2: {
    type: 'oauth2',
    flows: { clientCredentials: { tokenUrl: 'https://example.org/token', scopes: { write: 'Write' } } },
  },
};
const documentOf = (openapi, scheme) => ({
  openapi,
  info: {
    title: 'Posts',
    version: '1',
    description: 'Posts',
    contact: { name: 'Somebody' },
    license: { name: 'MIT', url: 'https://example.org/license' },
  },
  servers: [{ url: 'https://example.net' }],
  tags: [{ name: 'Posts', description: 'Posts' }],
  components: { securitySchemes: { account: scheme } },
  paths: {
    '/posts': {
      post: {
        operationId: 'postPosts',
        summary: 'Publish',
        description: 'Publish a post',
        tags: ['Posts'],
        security: [{ account: ['write'] }],
        responses: { 201: { description: 'Done' }, 401: { description: 'No token' } },
      },
    },
  },
});
const run = (name, ...args) =>
  spawnSync(`node_modules/.bin/${name}`, args, { encoding: 'utf8', timeout: 60_000 }).stdout || '[]';
const lines = [];
for (const [version, name] of [
  ['3.0.3', 'openIdConnect'],
  ['3.1.0', 'openIdConnect'],
  ['3.1.0', 'http'],
  ['3.1.0', 'apiKey'],
  ['3.1.0', 'oauth2'],
]) {
  writeFileSync('document.json', JSON.stringify(documentOf(version, schemes[name])));
  const spectral = JSON.parse(run('spectral', 'lint', '--quiet', '-f', 'json', 'document.json'));
  const redocly = JSON.parse(run('redocly', 'lint', '--extends', 'recommended', '--format', 'json', 'document.json'));
  const told = (found) => found.map(({ message }) => message).join(' ') || 'nothing';
  lines.push(`${version} ${name}: spectral ${told(spectral)}; redocly ${told(redocly.problems ?? [])}`);
}
console.log(lines.join('\n'));
const missed = 'spectral "write" must be listed among scopes.; redocly nothing';
const expected = [
  `3.0.3 openIdConnect: ${missed}`,
  `3.1.0 openIdConnect: ${missed}`,
  `3.1.0 http: ${missed}`,
  `3.1.0 apiKey: ${missed}`,
  '3.1.0 oauth2: spectral nothing; redocly nothing',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
