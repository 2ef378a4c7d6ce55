/** Where the page begins. */
import { render } from 'preact';
import './shell/theme';
import { Shell } from './shell/Shell';

const page = document.getElementById('page');
if (page) {
  page.replaceChildren();
  render(<Shell />, page);
}
