import Joi from 'joi';
import { aboutUsername, claimedPassword, newUsername, ownPassword, password } from '../auth/schemas.ts';
import { isEmail } from '../text/email.ts';
import { count, id, object, oneOf, optional, text, timestamp } from '../api/schema.ts';

const email = text()
  .custom(
    (value: string, helpers) => (isEmail(value) ? value : helpers.error('string.email')),
    'e-mail address',
  )
  .max(254)
  .description(
    'What the e-mail field of a browser accepts, also in other scripts. Shown to nobody but you. Unique without regard to ' +
      'case and Unicode form; `müller.de` is the same as `xn--mller-kva.de`',
  )
  .example('ada@example.org');

/** Also one that was chosen before there were rules for its ends and reserved names: who has it may say it again. */
const username = Joi.string()
  .pattern(/^[A-Za-z0-9_.-]{3,30}$/, '3 to 30 letters, digits, dots, dashes and underscores')
  .description(aboutUsername)
  .example('ada');

/** A username that is to become somebody's. */
export const chosenName = object({ username: newUsername });

export const signUp = object({
  email,
  password,
  username: optional(newUsername).description(`${aboutUsername}. Generated if absent`),
  invitation: optional(text().max(100)).description(
    'The code of an invitation. Needed where `sign_up` of `GET /` is `invite`; elsewhere it is not used',
  ),
})
  .example({ email: 'ada@example.org', password: 'correct horse battery', username: 'ada' })
  .id('SignUp');

const bio = text()
  .allow('')
  .max(500)
  .description('About you: plain text that everyone may read')
  .example('Counting engines.');

export const editUser = object({
  username: optional(username),
  bio: optional(bio),
  email: optional(email),
  password: optional(password),
  current_password: optional(claimedPassword.example('correct horse battery')).description(
    'Needed for a new e-mail address or password. An account without one needs a login in the last ten minutes instead',
  ),
})
  .or('username', 'bio', 'email', 'password')
  .example({ username: 'ada.lovelace' })
  .id('EditUser');

const mailedToken = (name: string) =>
  text().max(100).description(`From the link in the mail: what is behind \`#${name}=\``);

export const verifyEmail = object({ token: mailedToken('verify') })
  .example({ token: 'the-token-in-the-link-of-the-mail' })
  .id('VerifyEmail');

export const undoEmail = object({ token: mailedToken('undo') })
  .example({ token: 'the-token-in-the-link-of-the-mail' })
  .id('UndoEmail');

/** Its example is nobody's password: what a page fills in by itself must not delete an account. */
export const deleteUser = object({ password: ownPassword })
  .example({ password: 'your password' })
  .id('DeleteUser');

export const userParams = object({ id: id().description("The user's id").example(1) });

export const nameParams = object({
  username: username
    .description('The name, without regard to case')
    .example('ada.lovelace', { override: true }),
});

const known = (what: string) => optional(Joi.boolean()).description(`Only if you are logged in: ${what}`);

export const publicUser = object({
  id: id(),
  username: Joi.string(),
  bio: Joi.string().allow(''),
  created_at: timestamp(),
  posts: count().description('Published posts, without replies'),
  followers: count().description('As many as the list has'),
  following: count().description('As many as the list has'),
  followed: known('whether you follow them'),
  blocked: known('whether you block them'),
  muted: known('whether you mute them'),
}).id('User');

export const ownUser = object({
  id: id(),
  username: Joi.string(),
  bio: Joi.string().allow(''),
  email: Joi.string(),
  email_verified: Joi.boolean().description('Whether it is proved that you read the mails to this address'),
  pending_email: Joi.string()
    .allow(null)
    .description('The new address that counts once it is proved; `null` if there is none'),
  has_password: Joi.boolean().description(
    'Whether the account has a password; without one you log in with the OpenID provider',
  ),
  role: oneOf('user', 'moderator', 'admin').description('What you may do beside what all users may'),
  created_at: timestamp(),
}).id('OwnUser');
