import * as tf from '@tensorflow/tfjs';
import type { Compiler } from '../../../core/compile.js';
import { leavesOf, type Tree, withLeaves } from '../../../core/tree.js';
import { nativeBackend } from '../native.js';
import { Graph } from './graph.js';
import { type Messages, SavedModelWriter } from './saved-model.js';
import { Sessions } from './sessions.js';

/**
 * Compiles functions to TensorFlow graphs: one call a step in place of a hundred, independent
 * operations side by side, and TensorFlow's own optimisations of the whole.
 *
 * A graph is recorded at the first call for each combination of types and shapes, and runs from that
 * call on: the results of the recording itself, rounded differently here and there, are not used, so
 * that training which goes on from a checkpoint repeats to the bit what it would have done.
 *
 * @param messages the binding's generated protocol buffer module
 */
export function graphCompiler(messages: Messages): Compiler {
  const backend = nativeBackend();
  const writer = new SavedModelWriter(messages, backend.binding);
  const tools = { backend, writer, sessions: new Sessions(backend.binding) };

  return <Input extends Tree, Output extends Tree>(fn: (input: Input) => Output) => {
    const graphs = new Map<string, { readonly graph: Graph; readonly form: Output }>();

    const record = (input: Input, leaves: readonly tf.Tensor[]) => {
      let form: Output | undefined;
      const graph = new Graph(tools, leaves, (copies) =>
        tf.tidy(() => {
          form = fn(withLeaves(input, copies));
          return leavesOf(form).map((leaf) => tf.keep(leaf));
        }),
      );
      return { graph, form: form as Output };
    };

    return {
      run: (input: Input) => {
        const leaves = leavesOf(input);
        const key = leaves.map(({ dtype, shape }) => `${dtype}[${shape}]`).join();
        let entry = graphs.get(key);
        if (entry === undefined) {
          entry = record(input, leaves);
          graphs.set(key, entry);
        }
        const outputs = entry.graph.run(leaves).map((output) => tf.keep(output));
        return withLeaves(entry.form, outputs);
      },
      dispose: () => {
        for (const { graph } of graphs.values()) graph.dispose();
        graphs.clear();
      },
    };
  };
}
