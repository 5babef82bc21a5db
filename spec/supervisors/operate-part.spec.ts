import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ActorSystem } from '../../runtime/actor-system.ts';
import { localChild } from '../../runtime/supervision/local-placement.ts';
import { supervisorChild } from '../../runtime/supervision/supervisor-child.ts';
import { Supervisor } from '../../runtime/supervision/supervisor.ts';
import { operatePart, resolvePart } from '../../supervisors/operate-part.ts';
import type { OperateRequest } from '../../supervisors/operate-part.ts';
import { treeDocument } from '../../supervisors/tree-document.ts';
import type { TreeDocument } from '../../supervisors/tree-document.ts';
import { rejectionOf, thrownBy } from '../support/rejection.ts';

const part = (id: string, children: TreeDocument[] = []): TreeDocument => ({
  id,
  status: 'running',
  epoch: 1,
  restarts: 0,
  children,
});
const TREE = part('node', [
  part('match', [part('match-0', [part('match')]), part('match-1', [part('match')])]),
  part('forward', [part('forward-0', [part('forward')])]),
]);

describe('operatePart', () => {
  it('takes a path from the root, or as much of its end as is unique', () => {
    expect(resolvePart(TREE, 'match/match-0/match')).to.equal('match/match-0/match');
    expect(resolvePart(TREE, 'match-1/match')).to.equal('match/match-1/match');
    expect(resolvePart(TREE, 'forward-0')).to.equal('forward/forward-0');
    expect(resolvePart(TREE, 'match')).to.equal('match');
  });

  it('says which parts may be meant, or what is near', () => {
    const twice = part('node', [part('a', [part('x')]), part('b', [part('x')])]);
    const ambiguous = thrownBy(() => resolvePart(twice, 'x'));
    expect(ambiguous).to.include({ code: 'E_ACTOR_AMBIGUOUS' });
    expect(ambiguous.mend).to.contain('a/x, b/x');
    const unknown = thrownBy(() => resolvePart(TREE, 'mach-0/match'));
    expect(unknown).to.include({ code: 'E_ACTOR_UNKNOWN', mend: 'Did you mean match-0/match?' });
    expect(thrownBy(() => resolvePart(TREE, '<b>hunter2')).message).to.not.contain('hunter2');
  });

  it('suspends, shows, inspects and resumes an actor, and writes down who asked', async () => {
    const system = new ActorSystem();
    const actor = localChild<string>(system, 'actor', () => ({
      handle: () => undefined,
      inspect: () => ({ seen: 1 }),
    }));
    const intensity = { restartsMax: 1, windowMs: 1_000 };
    const spec = { strategy: 'oneForOne', intensity } as const;
    const group = supervisorChild({
      ...spec,
      id: 'group',
      children: [{ id: 'actor', start: actor.start, restart: 'permanent', shutdownDeadlineMs: 100 }],
    });
    const root = new Supervisor({
      ...spec,
      id: 'node',
      children: [{ id: 'group', start: group, restart: 'permanent', shutdownDeadlineMs: 100 }],
    });
    await root.start();
    const logged: unknown[][] = [];
    const log = { warn: (...entry: unknown[]) => void logged.push(entry) };
    const operate = (operation: OperateRequest['operation'], id = 'actor') =>
      operatePart(root, { operation, id, by: 'ops' }, log);

    expect(await operate('suspend')).to.deep.equal({ id: 'group/actor', status: 'suspended' });
    const shown = treeDocument(root).children?.[0]?.children?.[0];
    const state = await operate('inspect');
    expect(state).to.deep.include({ id: 'group/actor', status: 'suspended', waiting: 0, state: { seen: 1 } });
    expect(shown).to.include({ status: 'suspended', since: (state as { since: string }).since });
    expect(await operate('resume')).to.deep.equal({ id: 'group/actor', status: 'running' });
    expect(treeDocument(root).children?.[0]?.children?.[0]).to.include({ status: 'running' });
    expect(logged).to.deep.equal([
      [{ id: 'group/actor', by: 'ops' }, 'suspend asked for'],
      [{ id: 'group/actor', by: 'ops' }, 'resume asked for'],
    ]);
    expect((await rejectionOf(operate('suspend', 'group'))).code).to.equal('E_NOT_AN_ACTOR');
    await root.stop(500);
  });
});
