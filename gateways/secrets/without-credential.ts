/**
 * Takes a credential out of a text, in the forms in which it was sent, and the password of `user:password` by itself:
 * whoever refuses one may say which.
 */
export function withoutCredential(text: string, credential: string | undefined): string {
  if (credential === undefined) return text;
  const password = credential.slice(credential.indexOf(':') + 1);
  const forms = [
    credential,
    JSON.stringify(credential).slice(1, -1),
    Buffer.from(credential).toString('base64'),
    encodeURIComponent(credential.toWellFormed()),
    password,
  ];
  return forms.reduce((rest, form) => (form === '' ? rest : rest.replaceAll(form, '***')), text);
}
