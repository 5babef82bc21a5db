import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { AnyEndpoint, Method } from '../../../gateways/admin/endpoint.ts';
import { allowOf, Router } from '../../../gateways/admin/router.ts';
import { codeOf } from '../../../runtime/errors.ts';

const at = (method: Method, path: string): AnyEndpoint => ({
  operationId: `${method} ${path}`,
  method,
  path,
  scope: 'read',
  tag: 't',
  summary: 's',
  replies: {},
  errors: [],
  answer: async () => ({ status: 200, body: {} }),
});

describe('Router', () => {
  const router = new Router([
    at('get', '/a'),
    at('get', '/a/:id'),
    at('put', '/a/:name'),
    at('post', '/a/:id/restart'),
    at('get', '/a/verify'),
    at('get', '/a/verify/:n/x'),
  ]);
  const found = (path: string): unknown => {
    const result = router.find(path);
    return (
      result && [[...result.endpoints.values()].map(({ operationId }) => operationId), result.parameters]
    );
  };

  it('finds a fixed segment before a parameter, and goes back when it leads nowhere', () => {
    expect(found('/a/verify')).to.deep.equal([['get /a/verify'], {}]);
    expect(found('/a/verify/restart')).to.deep.equal([['post /a/:id/restart'], { id: 'verify' }]);
    expect(found('/a/verify/7/x')).to.deep.equal([['get /a/verify/:n/x'], { n: '7' }]);
  });

  it('decodes parameters, and leaves what cannot be decoded as it is', () => {
    expect(router.find('/a/b%2Fc%20d')?.parameters['id']).to.equal('b/c d');
    expect(router.find('/a/%')?.parameters['id']).to.equal('%');
    expect(router.find('/a/%E0%A4%A')?.parameters['id']).to.equal('%E0%A4%A');
  });

  for (const path of [
    '/',
    '',
    '/b',
    '/a/',
    '/a//restart',
    '/a/1/2',
    '/a/1/restart/',
    'a',
    '/A',
    '/__proto__',
    '/constructor',
  ]) {
    it(`finds nothing at "${path}"`, () => {
      expect(router.find(path)).to.equal(undefined);
    });
  }

  it('knows the methods of a path', () => {
    expect(allowOf(router.find('/a/1')?.endpoints ?? new Map())).to.equal('GET, HEAD, PUT, OPTIONS');
  });

  it('refuses a table with the same route twice, whatever its parameter is called', () => {
    const twice = (): Router => new Router([at('get', '/a/:id'), at('get', '/a/:name')]);
    expect(twice)
      .to.throw()
      .that.satisfies((thrown: unknown) => codeOf(thrown) === 'E_ROUTE_TWICE');
  });
});
