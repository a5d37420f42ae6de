/** Three paragraphs on Fenchel lifted networks, with the paper's equations in MathML, which browsers typeset. */

const i = (name: string) => `<mi>${name}</mi>`;
const n = (value: string) => `<mn>${value}</mn>`;
const o = (sign: string) => `<mo>${sign}</mo>`;
const sub = (base: string, index: string) => `<msub>${base}<mrow>${index}</mrow></msub>`;
const sup = (base: string, index: string) => `<msup>${base}<mrow>${index}</mrow></msup>`;
const over = (base: string, under: string) => `<munder>${base}<mrow>${under}</mrow></munder>`;
const frac = (above: string, below: string) =>
  `<mfrac><mrow>${above}</mrow><mrow>${below}</mrow></mfrac>`;
const call = (f: string, ...args: string[]) => `${f}${o('(')}${args.join(o(','))}${o(')')}`;
const inline = (...parts: string[]) => `<math>${parts.join('')}</math>`;
const display = (...parts: string[]) =>
  // It scrolls where the page is narrow, also with the keyboard.
  `<div class="equation" role="group" aria-label="equation" tabindex="0"><math display="block">${parts.join('')}</math></div>`;

const above = `${i('l')}${o('+')}${n('1')}`;
const [F, Fs, phi, B, G, Y, u, v] = [
  ...[i('F'), sup(i('F'), o('∗')), i('φ'), i('B'), i('G'), i('Y')],
  ...[i('u'), i('v')],
];
const X = (l: string) => sub(i('X'), l);
const W = (l: string) => sub(i('W'), l);
const U = (l: string) => sub(i('U'), l);
const l = i('l');
const assign = o('←');
const least = (l: string) => over('<mo>argmin</mo>', l);

const penalty = display(
  ...[call(B, v, u), o('='), call(F, v), o('+'), call(Fs, u), o('−'), u, v, o('≥'), n('0'), o(',')],
  '<mspace width="1em"/>',
  ...[call(B, v, u), o('='), n('0'), o('⟺'), v, o('='), call(phi, u)],
);

const objective = display(
  ...[
    G,
    o('='),
    '<mi mathvariant="normal">loss</mi>',
    o('('),
    Y,
    o(','),
    U(i('L')),
    o(')'),
    o('+'),
  ],
  ...[over(o('∑'), l), sub(i('λ'), l), call(B, X(above), U(l)), o('+')],
  ...[over(o('∑'), l), sub(i('γ'), l)],
  sup(
    `<mrow>${o('‖')}${W(l)}${o('−')}<msubsup>${i('W')}<mrow>${l}</mrow><mn>0</mn></msubsup>${o('‖')}</mrow>`,
    n('2'),
  ),
);

const blocks = display(
  ...[
    X(l),
    assign,
    least(X(l)),
    G,
    o(','),
    '<mspace width="0.4em"/>',
    l,
    o('='),
    i('L'),
    o(',…,'),
    n('1'),
    o(';'),
  ],
  '<mspace width="1.2em"/>',
  ...[W(l), assign, least(W(l)), G, '<mspace width="0.5em"/>', '<mtext>for all </mtext>', l],
);

const signal = display(
  ...[
    i('r'),
    o('='),
    i('c'),
    '<mspace width="0.15em"/>',
    `<msubsup>${i('W')}<mrow>${above}</mrow><mi>T</mi></msubsup>`,
  ],
  ...[sub(i('g'), above), o(','), '<mspace width="1em"/>', sub(i('g'), l), o('=')],
  frac(
    [
      call(phi, `${i('U')}${o('+')}${i('r')}`),
      o('−'),
      call(phi, `${i('U')}${o('−')}${i('r')}`),
    ].join(''),
    n('2'),
  ),
);

export const explanation = `<p><strong>Lifting.</strong> Back-propagation trains the weights alone, and activations follow from them. A <em>lifted</em> network makes the
activations of every layer variables of their own: ${inline(X(above), o('='), call(phi, U(l)))} with ${inline(U(l), o('='), X(l), W(l))} is no
longer true by definition, but rewarded by a penalty. For an increasing φ with convex ${inline(F)}, ${inline(sup(F, o('′')), o('='), sup(phi, `${o('−')}${n('1')}`))}, and its conjugate
${inline(Fs)}, Fenchel's inequality gives one that is zero exactly where the activation is right (Theorem 1 of the paper):</p>
${penalty}
<p><strong>Blocks.</strong> With a multiplier λ for every penalty, and a proximal term that keeps the weights near those of the previous batch (eq. 13),</p>
${objective}
<p class="continued">is convex in each layer's activations and in each layer's weights, given all others. So it is minimised block by block, without
differentiating through the network (Algorithm 2): after a forward pass, where all penalties are zero, the loss moves
the activations of the last hidden layer, these move the layer below, and then every layer fits its weights to its new target:</p>
${blocks}
<p><strong>One step for each block.</strong> The default solver takes one step instead. The step of the X-blocks goes down by a distance r, and what it
changes in φ is the signal g for the weights, a finite difference of activations in place of a derivative: one-sided, or two-sided as here, whose mean a
large r hardly moves. Small steps give back-propagation.</p>
${signal}
<p class="note">F. Gu, A. Askari, L. El Ghaoui, <cite>Fenchel Lifted Networks: A Lagrange Relaxation of Neural Network Training</cite>, AISTATS 2020.</p>`;
