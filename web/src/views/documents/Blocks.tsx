/** Blocks of a document, as text alone: nothing that a document says becomes markup. */
import { spans, type Block } from './blocks';

export function Blocks({ of }: { of: readonly Block[] }) {
  return <>{of.map((block, at) => <One key={at} of={block} />)}</>;
}

function One({ of }: { of: Block }) {
  switch (of.kind) {
    case 'paragraph':
      return <p><Said text={of.text} /></p>;
    case 'heading':
      return <p class="documents-heading"><strong><Said text={of.text} /></strong></p>;
    case 'quote':
      return <blockquote><p><Said text={of.text} /></p></blockquote>;
    case 'code':
      return <pre tabIndex={0}><code>{of.text}</code></pre>;
    case 'front':
      return <details class="documents-front"><summary class="small">Front matter</summary><pre tabIndex={0}><code>{of.text}</code></pre></details>;
    case 'rule':
      return <hr />;
    case 'table': {
      const [head = [], ...rows] = of.rows;
      return (
        <div class="table-frame" role="region" aria-label="Table" tabIndex={0}>
          <table class="table">
            <thead><tr>{head.map((cell, at) => <th scope="col" key={at}><Said text={cell} /></th>)}</tr></thead>
            <tbody>{rows.map((row, at) => <tr key={at}>{row.map((cell, at) => <td key={at}><Said text={cell} /></td>)}</tr>)}</tbody>
          </table>
        </div>
      );
    }
    case 'list': {
      const List = of.isOrdered ? 'ol' : 'ul';
      return (
        <List>
          {of.items.map(({ text, depth, isDone }, at) => (
            <li key={at} data-depth={depth} data-task={isDone === undefined ? undefined : isDone ? 'done' : 'open'}>
              {isDone !== undefined && <span class="unseen">{isDone ? 'Done: ' : 'To do: '}</span>}
              <Said text={text} />
            </li>
          ))}
        </List>
      );
    }
  }
}

function Said({ text }: { text: string }) {
  return (
    <>
      {spans(text).map((span, at) => {
        if (span.kind === 'code') return <code key={at}>{span.text}</code>;
        if (span.kind === 'strong') return <strong key={at}>{span.text}</strong>;
        if (span.kind === 'link') return <a key={at} href={span.url} target="_blank" rel="noreferrer" title={span.url}>{span.text}</a>;
        return span.text;
      })}
    </>
  );
}
