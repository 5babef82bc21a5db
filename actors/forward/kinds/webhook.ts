/**
 * A plain webhook: the alert's own fields as JSON, or what a template makes of them. A repeat has the same
 * `Idempotency-Key`, which is the alert's id.
 */
import { CONTENT_TYPES } from '../../ports.ts';
import { webhookPayload } from '../webhook-payload.ts';
import { authorization } from './credential.ts';
import { asWritten } from './kind.ts';
import type { Kind } from './kind.ts';
import { renderTemplate } from './template.ts';

export const webhook: Kind = {
  label: 'webhook',
  auth: ['bearer', 'basic'],
  needsCredential: false,
  fields: ['auth', 'template', 'content_type'],
  endpoint: asWritten,
  message: ({ alert, destination, credential }) => {
    const { auth, template, contentType = CONTENT_TYPES[0] } = destination;
    return {
      headers: {
        'content-type': contentType,
        'idempotency-key': alert.id,
        ...authorization(auth, credential),
      },
      body:
        template === undefined
          ? JSON.stringify(webhookPayload(alert))
          : renderTemplate(template, contentType, alert),
    };
  },
};
