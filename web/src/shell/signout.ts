/** Signing out goes the way of the sign-in pages: a form that is posted, which ends the session and leads on. */
export function signOut(): void {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = '/signout';
  form.hidden = true;
  document.body.append(form);
  form.submit();
}
