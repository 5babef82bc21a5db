/** Rules by what people call them. */
import { CodedError } from '../../runtime/errors.ts';
import type { AdminClient } from './admin-client.ts';
import type { CliContext } from './context.ts';

const ID = /^\d{1,10}$/;
/** Of rules whose name holds the text, so many are looked at. */
const NAMED_MAX = 1_000;

/** The id of a rule that is named by it or by its name. Errors: E_NOT_FOUND, and those of the client. */
export async function ruleIdOf(context: CliContext, admin: AdminClient, rule: string): Promise<number> {
  if (ID.test(rule)) return Number(rule);
  const query = { q: rule };
  const { items } = await admin.list<{ id: number; name: string | null }>(
    '/api/v2/rules',
    query,
    NAMED_MAX,
    context.signal,
  );
  const found = items.find(({ name }) => name === rule);
  if (found !== undefined) return found.id;
  throw new CodedError('E_NOT_FOUND', `there is no rule named ${JSON.stringify(rule)}`, {
    mend: '`mutt rules list` shows the rules with their ids.',
  });
}
