import Joi from 'joi';
import { passwordForm } from '../text/password-form.ts';
import { isReservedName } from '../text/reserved-names.ts';
import { MAX_BYTES } from './passwords.ts';
import {
  count,
  id,
  type Infer,
  listOf,
  object,
  oneOf,
  optional,
  pageCursor,
  pageSize,
  text,
  timestamp,
  uuid,
  visibleText,
  wholeNumber,
  withDefault,
} from '../api/schema.ts';
import { scopes } from '../identity.ts';

export const password = text()
  .min(8)
  .custom((value: string, helpers) =>
    Buffer.byteLength(passwordForm(value)) > MAX_BYTES ? helpers.error('string.bytes') : value,
  )
  .messages({ 'string.bytes': `{{#label}} must be at most ${MAX_BYTES} bytes long in UTF-8` })
  .description(`At least 8 characters, at most ${MAX_BYTES} bytes in UTF-8 after normalization to NFC`)
  .example('correct horse battery');

export const aboutUsername =
  '3 to 30 letters, digits, dots, dashes and underscores, with a letter or digit at both ends; unique without regard to case. ' +
  'Names of the service and its staff are reserved, and a name that a user has given up stays reserved for 90 days';

/** A name for a new account, or in place of another. */
export const newUsername = Joi.string()
  .pattern(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{1,28}[A-Za-z0-9]$/,
    '3 to 30 letters, digits, dots, dashes and underscores, with a letter or digit at both ends',
  )
  .custom(
    (value: string, helpers) => (isReservedName(value) ? helpers.error('string.reserved') : value),
    'name that is not reserved',
  )
  .description(aboutUsername)
  .example('ada');

/** A password to be checked: anything that could be one. */
export const claimedPassword = text().max(1024).description('The password');

export const forgotPassword = object({
  email: text().max(254).description('The e-mail address of the account').example('ada@example.org'),
})
  .example({ email: 'ada@example.org' })
  .id('ForgotPassword');

export const resetPassword = object({
  token: text().max(100).description('From the link in the mail: what is behind `#reset=`'),
  password,
})
  .example({ token: 'the-token-in-the-link-of-the-mail', password: 'correct horse battery' })
  .id('ResetPassword');

const username = text()
  .max(254)
  .description('The e-mail address (the name that OAuth2 gives the field)')
  .example('ada@example.org');

/** Not long, and of whatever a person types. */
const code = text().max(50);

const oauth2 = {
  password: claimedPassword.example('correct horse battery'),
  otp: optional(code).description(
    'A code of your authenticator app, or a recovery code: needed if the answer without it was `otp_required`',
  ),
  grant_type: optional(oneOf('password', '').messages({ 'any.only': '{{#label}} must be password' })),
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

/** What an account without a password is asked for in its place. */
export const ownPassword = optional(claimedPassword).description(
  'Your password. An account without one needs a login in the last ten minutes instead',
);

/** Its example is nobody's password. */
export const passwordAgain = object({ password: ownPassword })
  .example({ password: 'your password' })
  .id('PasswordAgain');

export const totpSetup = object({
  secret: Joi.string().description('In Base32, to be typed into the app'),
  uri: Joi.string().description('The same as a link, `otpauth://totp/…`, also for a QR code'),
}).id('TotpSetup');

export const confirmTotp = object({ code: code.description('The code that the app shows').example('123456') })
  .example({ code: '123456' })
  .id('ConfirmTotp');

export const recoveryCodes = object({
  recovery_codes: listOf(Joi.string()).description(
    'Each is good for one login without the app. Not shown again',
  ),
}).id('RecoveryCodes');

export const secondFactor = object({
  on: Joi.boolean().description('Whether your logins ask for a code'),
  recovery_codes: count().description('Recovery codes that have not been used'),
}).id('SecondFactor');

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

const sessionId = uuid().description('The session').example('8b0f4c4e-3f57-4d0c-9a52-6f1c4a0f2d11');

export const sessionParams = object({ id: sessionId });

export const listSessions = object({
  limit: pageSize(10),
  cursor: pageCursor('sessions', 1_795_867_200_000_000, '8b0f4c4e-3f57-4d0c-9a52-6f1c4a0f2d11'),
});
export type ListSessions = Infer<typeof listSessions>;

export const sessions = listOf(
  object({
    id: sessionId,
    created_at: timestamp().description('The login'),
    last_seen_at: timestamp().description('When it was used last, in steps of five minutes'),
    client: Joi.string()
      .allow(null)
      .description(
        'What the client called itself at the login: browser and system, or the beginning of its `User-Agent`; null if it said nothing',
      )
      .example('Firefox on Windows'),
    current: Joi.boolean().description('Whether it is the session of this request'),
  }).id('Session'),
);

const returnTo = optional(text().max(2000))
  .description(
    'Where the provider sends the browser back to in the end, with `#oidc=` and its answer: at the service or at an origin that `CORS_ORIGINS` names. The page of the service if absent',
  )
  .example('https://app.example.org/login');

export const beginOidc = object({ return_to: returnTo }).example({}).id('BeginOidc');

export const beginLink = object({ password: ownPassword, return_to: returnTo })
  .example({ password: 'your password' })
  .id('BeginLink');

export const begunLogin = object({
  authorization_url: Joi.string().description('Where the browser goes'),
  state: Joi.string().description('Names this login; it comes back in the answer of the provider'),
  secret: Joi.string().description(
    'Stays in the browser that began, in no address: only with it the login can be finished',
  ),
  expires_in: count().description('Seconds until it can no longer be finished'),
}).id('BegunLogin');

const returned = {
  response: text()
    .max(8000)
    .description(
      'What the browser came back with: behind `#oidc=`, decoded once. It is the query of the provider',
    )
    .example('code=the-code-of-the-provider&state=the-state-of-the-login'),
  secret: text().max(100).description('From the begin of the login').example('the-secret-of-the-login'),
};
const returnedExample = {
  response: 'code=the-code-of-the-provider&state=the-state-of-the-login',
  secret: 'the-secret-of-the-login',
};

export const finishOidc = object({
  ...returned,
  otp: optional(code).description(
    'A code of your authenticator app: needed if the answer without it was `otp_required`',
  ),
  password: optional(claimedPassword).description(
    'Of the account with the same address: needed if the answer without it was `link_required`',
  ),
  username: optional(newUsername).description(
    `Of a new account: needed if the answer without it was \`username_required\`. ${aboutUsername}`,
  ),
  invitation: optional(text().max(100)).description('Of a new account, where an invitation is needed'),
})
  .example(returnedExample)
  .id('FinishOidc');

export const finishLink = object(returned).example(returnedExample).id('FinishLink');

const identityId = id().description('The identity').example(1);

export const identityParams = object({ id: identityId });

export const identity = object({
  id: identityId,
  issuer: Joi.string()
    .description('The address that names the provider')
    .example('https://accounts.example.org'),
  email: Joi.string()
    .allow(null)
    .description('The address that the provider told at the last login; `null` if it told none'),
  created_at: timestamp().description('When it was linked'),
  last_login_at: timestamp().allow(null).description('The last login with it; `null` if there was none'),
}).id('LinkedIdentity');

export const identities = listOf(identity);

const scopeList = listOf(oneOf(...scopes)).description(
  '`read`: lists, posts and events, over sockets as well. `write`: posts, votes, relations and what else changes something. `moderate`: what moderators do, for those who are',
);

export const createKey = object({
  name: visibleText().max(80).description('What you call it, to know it again').example('the weather bot'),
  scopes: scopeList.min(1).unique().example(['read']),
  expires_in_days: withDefault(
    wholeNumber().strict().min(1).max(366).description('In how many days it expires'),
    90,
  ),
  password: ownPassword,
})
  .example({ name: 'the weather bot', scopes: ['read', 'write'], password: 'your password' })
  .id('CreateApiKey');
export type CreateKey = Infer<typeof createKey>;

const keyId = uuid().description('The key').example('8b0f4c4e-3f57-4d0c-9a52-6f1c4a0f2d11');

export const keyParams = object({ id: keyId });

const keyFields = {
  id: keyId,
  name: Joi.string().description('What you call it'),
  scopes: scopeList,
  created_at: timestamp(),
  expires_at: timestamp().description('From then on it is refused'),
  last_used_at: timestamp()
    .allow(null)
    .description('When it was used last, in steps of five minutes; null if it never was'),
};

export const apiKeys = listOf(object(keyFields).id('ApiKey'));

export const newApiKey = object({
  ...keyFields,
  key: Joi.string().description('The key itself. It is shown only here').example('tdk_…'),
}).id('NewApiKey');
