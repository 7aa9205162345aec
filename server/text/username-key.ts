/** SQL: the name of a user `u` as names are compared, without regard to case: what the index `users_username_key` is of. */
export const usernameKey = 'coalesce(u.username_key, lower(u.username collate "C"))';
