import Joi from 'joi';
import { claimedPassword, password } from '../auth/schemas.ts';
import { id, object, optional, text, timestamp } from '../http/schema.ts';

/** As the HTML standard defines a valid address, which is what browsers check; lists of top-level domains grow old. */
const email = text()
  .email({ tlds: false, ignoreLength: false })
  .max(254)
  .description('Shown to nobody but you; unique without regard to case')
  .example('ada@example.org');

const username = Joi.string()
  .pattern(/^[A-Za-z0-9_.-]{3,30}$/, '3 to 30 letters, digits, dots, dashes and underscores')
  .description('3 to 30 letters, digits, dots, dashes and underscores; unique without regard to case')
  .example('ada');

export const signUp = object({
  email,
  password,
  username: optional(username).description('Made up for you if you give none'),
}).id('SignUp');

export const editUser = object({
  username: optional(username),
  email: optional(email),
  password: optional(password),
  current_password: optional(claimedPassword).description('Needed for a new e-mail address or password'),
})
  .or('username', 'email', 'password')
  .with('email', 'current_password')
  .with('password', 'current_password')
  .id('EditUser');

export const deleteUser = object({ password: claimedPassword }).id('DeleteUser');

export const userParams = object({ id: id().description("The user's id").example(1) });

export const publicUser = object({ id: id(), username: Joi.string(), created_at: timestamp() }).id('User');

export const ownUser = object({
  id: id(),
  username: Joi.string(),
  email: Joi.string(),
  created_at: timestamp(),
}).id('OwnUser');
