/**
 * A parent to be killed: starts one private server, says where it is, and waits.
 *
 *   start-and-wait.ts redis|postgres <dir>
 */
import { startPrivatePostgres } from '../../../supervisors/embedded/postgres.ts';
import { startPrivateRedis } from '../../../supervisors/embedded/redis.ts';
import { codeOf } from '../../../runtime/errors.ts';

const [kind, dir = ''] = process.argv.slice(2);
try {
  const server = await (kind === 'redis' ? startPrivateRedis({ dir }) : startPrivatePostgres({ dir }));
  console.log(JSON.stringify({ pid: server.pid, port: server.port, uid: process.getuid?.() }));
  setInterval(() => {}, 1_000);
} catch (error) {
  console.log(JSON.stringify({ code: codeOf(error) }));
}
