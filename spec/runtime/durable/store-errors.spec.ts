import { expect } from 'chai';
import { describe, it } from 'mocha';
import { storeError } from '../../../runtime/durable/store-errors.ts';

const replyOf = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' });

/** As a server before version 7 says what a command within a script was refused with. */
const wrapped = (message: string): Error =>
  replyOf(
    `ERR Error running script (call to f_d05e85801446f5c3b3262aa9928ebf556baf9d64): @user_script:1: @user_script: 1: -${message}`,
  );

describe('storeError', () => {
  for (const [message, code] of [
    ['NOREPLICAS Not enough good replicas to write.', 'E_STORE_UNAVAILABLE'],
    ["READONLY You can't write against a read only replica.", 'E_STORE_UNAVAILABLE'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'E_STORE_MEMORY'],
  ] as const) {
    it(`says ${code} of ${message.split(' ')[0]}, out of a script of any version too`, () => {
      for (const error of [storeError(replyOf(message)), storeError(wrapped(message))]) {
        expect(error).to.include({ code, kind: 'transient' });
        expect(error.details).to.include({ stored: 'no' });
        expect(error.message).not.to.include('user_script');
      }
    });
  }

  it('leaves an error of a script itself as it is', () => {
    const message =
      "ERR Error running script (call to f_0): @user_script:3: attempt to index local 'a' (a nil value)";
    expect(storeError(replyOf(message))).to.include({ code: 'E_STORE_SCRIPT', kind: 'defect' });
  });
});
