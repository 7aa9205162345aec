import { client } from './client.ts';
import { useAttempt } from './use-attempt.tsx';

export function LogIn() {
  const { submit, busy, problem } = useAttempt();
  const enter = submit((typed) => {
    const account = { email: String(typed.get('email')), password: String(typed.get('password')) };
    return typed.get('act') === 'sign-up' ? client.signUp(account) : client.logIn(account);
  });
  return (
    <main>
      <h1>Tidings</h1>
      <form onSubmit={enter}>
        <input name="email" type="email" placeholder="E-mail" autoComplete="username" required />
        <input
          name="password"
          type="password"
          placeholder="Password"
          autoComplete="current-password"
          required
        />
        <button name="act" value="log-in" disabled={busy}>
          Log in
        </button>
        <button name="act" value="sign-up" disabled={busy}>
          Sign up
        </button>
      </form>
      {problem}
    </main>
  );
}
