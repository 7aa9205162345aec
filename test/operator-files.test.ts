import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { readConfig, variableNames } from '../server/config.ts';
import { createMetrics } from '../server/ops/metrics.ts';
import { packageRoot } from '../server/paths.ts';

const read = (path: string) => readFile(join(packageRoot, 'deploy', path), 'utf8');

interface Panel {
  title: string;
  targets: { expr: string }[];
}
interface Rule {
  alert: string;
  expr: string;
  annotations: { summary: string };
}

describe('what an operator is given', () => {
  const { registry } = createMetrics();
  const known = new Set(
    registry
      .getMetricsAsArray()
      .flatMap(({ name }) => [name, `${name}_bucket`, `${name}_count`, `${name}_sum`]),
  );
  const unknownIn = (expression: string) =>
    [...expression.matchAll(/\b(?:tidings|nodejs|process)_\w+/g)]
      .map(([name]) => name)
      .filter((name) => !known.has(name));

  it('asks in the dashboard only for metrics that exist', async () => {
    const { panels } = JSON.parse(await read('grafana-dashboard.json')) as { panels: Panel[] };
    expect(panels).to.have.length.above(10);
    for (const { title, targets } of panels) {
      for (const { expr } of targets) expect(unknownIn(expr), title).to.be.empty;
    }
  });

  it('alerts only on metrics that exist', async () => {
    const { groups } = parse(await read('alerts.yml')) as { groups: { rules: Rule[] }[] };
    const rules = groups.flatMap((group) => group.rules);
    expect(rules).to.have.length.above(5);
    for (const { alert, expr, annotations } of rules) {
      expect(unknownIn(expr), alert).to.be.empty;
      expect(annotations.summary, alert).to.not.equal('');
    }
  });

  it('asks for every metric of the service, in the dashboard or in an alert', async () => {
    const asked = (await read('grafana-dashboard.json')) + (await read('alerts.yml'));
    const names = new Set([...asked.matchAll(/\btidings_\w+/g)].map(([name]) => name));
    const forgotten = registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .filter((name) => name.startsWith('tidings_'))
      .filter((name) => ![name, `${name}_bucket`, `${name}_count`].some((form) => names.has(form)));
    expect(forgotten).to.deep.equal([]);
  });

  it('has no two panels of one number or in one place', async () => {
    const { panels } = JSON.parse(await read('grafana-dashboard.json')) as {
      panels: (Panel & { id: number; gridPos: object })[];
    };
    for (const of of [(panel: (typeof panels)[0]) => panel.id, ({ gridPos }: (typeof panels)[0]) => gridPos])
      expect(new Set(panels.map((panel) => JSON.stringify(of(panel))))).to.have.length(panels.length);
  });

  it('finds every variable with its default in the README and in .env.example', async () => {
    const readme = await readFile(join(packageRoot, 'README.md'), 'utf8');
    const table = /^## Configuration$(.*?)^## /ms.exec(readme)?.[1] ?? '';
    const rows = [...table.matchAll(/^\| (`[A-Z_` ]+) *\|/gm)];
    const documented = rows.flatMap(([, cell = '']) => [...cell.matchAll(/[A-Z_]+/g)].map(([name]) => name));
    expect(documented).to.have.members(variableNames);

    const example = await readFile(join(packageRoot, '.env.example'), 'utf8');
    const given = [...example.matchAll(/^(?:# )?([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => ({
      name,
      value,
    }));
    const names = given.map(({ name }) => name).filter((name) => !/^(POSTGRES|REDIS)_PASSWORD$/.test(name));
    expect(names).to.have.members(variableNames);
    const usual = readConfig({});
    for (const { name, value } of given)
      if (variableNames.includes(name)) expect(readConfig({ [name]: value }), name).to.deep.equal(usual);
  });

  it('would notice one that does not', () => {
    expect(unknownIn('rate(tidings_eventz_total[5m])')).to.deep.equal(['tidings_eventz_total']);
  });

  it('runs in Kubernetes as a normal user, probed, with no secret in the file', async () => {
    const documents = parseAllDocuments(await read('kubernetes/tidings.yml')).map((document) => {
      expect(document.errors).to.be.empty;
      return document.toJS() as {
        kind: string;
        spec: {
          template?: {
            spec: {
              securityContext: unknown;
              terminationGracePeriodSeconds: number;
              initContainers: Record<string, unknown>[];
              containers: Record<string, unknown>[];
            };
          };
        };
      };
    });
    expect(documents.map(({ kind }) => kind)).to.deep.equal([
      'Deployment',
      'Service',
      'PodDisruptionBudget',
      'NetworkPolicy',
    ]);
    const pod = documents[0]?.spec.template?.spec;
    expect(pod?.securityContext).to.include({ runAsNonRoot: true });
    expect(pod).to.include({ automountServiceAccountToken: false, enableServiceLinks: false });
    const container = pod?.containers[0] ?? {};
    expect(container.securityContext).to.deep.equal({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container).to.include.keys('readinessProbe', 'livenessProbe', 'startupProbe', 'resources');
    const { preStop } = container.lifecycle as { preStop: { exec: { command: [string, string] } } };
    const [command, seconds] = preStop.exec.command;
    expect(command).to.equal('sleep');
    expect(pod?.terminationGracePeriodSeconds, 'preStop and ten seconds fit').to.be.above(
      Number(seconds) + 10,
    );
    // A schema is brought up to date where no probe ends it, with the rights of the nodes.
    const [migration] = pod?.initContainers ?? [];
    expect(migration?.command).to.deep.equal(['node', 'dist/scripts/db.js', 'db:migrate']);
    for (const key of ['image', 'envFrom', 'securityContext', 'volumeMounts', 'resources'])
      expect(migration?.[key], key).to.deep.equal(container[key]);
    const env = container.env as { name: string; value: string }[];
    expect(env.map(({ name }) => name)).to.not.include.members(['JWT_SECRET']);
    // Where links lead.
    expect(env.map(({ name }) => name)).to.include('PUBLIC_URL');
    expect(container.envFrom).to.deep.equal([{ secretRef: { name: 'tidings' } }]);
  });

  it('lets pods in Kubernetes reach the database, Redis and DNS, and nobody but the ingress and Prometheus reach them', async () => {
    const documents = parseAllDocuments(await read('kubernetes/tidings.yml')).map(
      (document) => document.toJS() as unknown,
    );
    const policy = documents.find((document) => (document as { kind: string }).kind === 'NetworkPolicy') as {
      spec: {
        podSelector: unknown;
        policyTypes: string[];
        ingress: { from?: unknown[]; ports?: { port: unknown }[] }[];
        egress: { to?: unknown[]; ports?: { port: unknown }[] }[];
      };
    };
    const deployment = documents[0] as { spec: { selector: unknown } };
    expect(policy.spec.podSelector).to.deep.equal(deployment.spec.selector);
    expect(policy.spec.policyTypes).to.have.members(['Ingress', 'Egress']);
    // A rule without peers or without ports would allow all of them.
    for (const { from, ports } of policy.spec.ingress) {
      expect(from).to.be.an('array').that.is.not.empty;
      expect(ports?.map(({ port }) => port)).to.deep.equal(['http']);
    }
    for (const { to } of policy.spec.egress) expect(to).to.be.an('array').that.is.not.empty;
    const open = policy.spec.egress.flatMap(({ ports = [{ port: 'any' }] }) => ports.map(({ port }) => port));
    expect(new Set(open)).to.deep.equal(new Set([53, 5432, 6379, 26379]));
  });
});
