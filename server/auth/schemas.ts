import Joi from 'joi';
import { passwordForm } from '../text/password-form.ts';
import { MAX_BYTES } from './passwords.ts';
import { count, object, oneOf, optional, text } from '../api/schema.ts';

export const password = text()
  .min(8)
  .custom((value: string, helpers) =>
    Buffer.byteLength(passwordForm(value)) > MAX_BYTES ? helpers.error('string.bytes') : value,
  )
  .messages({ 'string.bytes': `{{#label}} must be at most ${MAX_BYTES} bytes long in UTF-8` })
  .description(`At least 8 characters, at most ${MAX_BYTES} bytes in UTF-8 after normalization to NFC`)
  .example('correct horse battery');

/** A password to be checked: anything that could be one. */
export const claimedPassword = text().max(1024).description('The password');

const username = text()
  .max(254)
  .description('The e-mail address (the name that OAuth2 gives the field)')
  .example('ada@example.org');

const oauth2 = {
  password: claimedPassword.example('correct horse battery'),
  grant_type: optional(oneOf('password', '')),
  scope: optional(Joi.string().allow('').max(1000)),
  client_id: optional(Joi.string().allow('').max(1000)),
  client_secret: optional(Joi.string().allow('').max(1000)),
};

export const login = object({
  username: optional(username),
  email: optional(text().max(254).description('The same, in a JSON body').example('ada@example.org')),
  ...oauth2,
})
  .xor('username', 'email')
  .example({ email: 'ada@example.org', password: 'correct horse battery' })
  .id('Login');

/** The login form in the documents: with both fields, pages that fill in each field would send two names. */
export const loginForm = object({ username, ...oauth2 })
  .example({ username: 'ada@example.org', password: 'correct horse battery' })
  .id('LoginForm');

export const refresh = object({
  refresh_token: text().max(512).description('From the last login or refresh'),
})
  .example({ refresh_token: 'the-refresh-token-of-your-last-login' })
  .id('Refresh');

export const tokens = object({
  access_token: Joi.string().description('JWT, for the Authorization header and the Socket.IO handshake'),
  token_type: oneOf('bearer'),
  expires_in: count().description('Seconds until the access token expires'),
  refresh_token: Joi.string().description('For POST /refresh. It replaces the previous refresh token'),
}).id('Tokens');
