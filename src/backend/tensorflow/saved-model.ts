import type { Endpoint, RecordedNode } from './graph-recording.js';
import type { Attribute, Handle, NativeBackend } from './native.js';

/** The tag that a model is loaded by. */
export const tag = 'serve';

/** TensorFlow's messages, as generated code declares them; the binding brings it along without types. */
// biome-ignore lint/suspicious/noExplicitAny: the generated module is untyped
export type Messages = any;

/** Writes a recording as a SavedModel, the one form of a graph that the binding loads. */
export class SavedModelWriter {
  constructor(
    private readonly messages: Messages,
    private readonly binding: NativeBackend['binding'],
  ) {}

  /** @returns the content of `saved_model.pb` */
  serialize(nodes: readonly RecordedNode[]): Uint8Array {
    const { GraphDef, MetaGraphDef, SavedModel, VersionDef } = this.messages;
    const versions = new VersionDef();
    versions.setProducer(graphVersion);
    const graph = new GraphDef();
    graph.setNodeList(nodes.map((node) => this.#node(node)));
    graph.setVersions(versions);
    const info = new MetaGraphDef.MetaInfoDef();
    info.setTagsList([tag]);
    const metaGraph = new MetaGraphDef();
    metaGraph.setMetaInfoDef(info);
    metaGraph.setGraphDef(graph);
    const model = new SavedModel();
    model.setSavedModelSchemaVersion(1);
    model.setMetaGraphsList([metaGraph]);
    return model.serializeBinary();
  }

  #node(node: RecordedNode): unknown {
    const message = new this.messages.NodeDef();
    message.setName(node.name);
    const attributes = message.getAttrMap();
    switch (node.kind) {
      case 'input':
        message.setOp('Placeholder');
        attributes.set('dtype', this.#type(node.handle.dtype));
        attributes.set('shape', this.#shape(node.handle.shape));
        break;
      case 'constant':
        message.setOp('Const');
        attributes.set('dtype', this.#type(node.handle.dtype));
        attributes.set('value', this.#tensor(node.handle, node.bytes));
        break;
      case 'operation':
        message.setOp(node.operation);
        message.setInputList(node.inputs.map(endpointName));
        for (const attribute of node.attributes) {
          attributes.set(attribute.name, this.#attribute(attribute));
        }
    }
    return message;
  }

  #attribute({ name, type, value }: Attribute): unknown {
    const { binding } = this;
    switch (type) {
      case binding.TF_ATTR_TYPE:
        return this.#type(value as number);
      case binding.TF_ATTR_SHAPE:
        return this.#shape(value as number[]);
      case binding.TF_ATTR_STRING:
        return this.#value('S', new TextEncoder().encode(value as string));
      case binding.TF_ATTR_INT:
        return this.#value('I', value);
      case binding.TF_ATTR_FLOAT:
        return this.#value('F', value);
      case binding.TF_ATTR_BOOL:
        return this.#value('B', value);
      default:
        throw new Error(`attribute ${name} is of a kind that a graph cannot hold (${type})`);
    }
  }

  /** A value or a list of values, in the field of that letter. */
  #value(field: 'S' | 'I' | 'F' | 'B', value: unknown): unknown {
    const { AttrValue } = this.messages;
    const message = new AttrValue();
    if (Array.isArray(value)) {
      const list = new AttrValue.ListValue();
      list[`set${field}List`](value);
      message.setList(list);
    } else {
      message[`set${field}`](value);
    }
    return message;
  }

  #type(dtype: number): unknown {
    const message = new this.messages.AttrValue();
    message.setType(dtype);
    return message;
  }

  #shape(shape: readonly number[]): unknown {
    const message = new this.messages.AttrValue();
    message.setShape(this.#dimensions(shape));
    return message;
  }

  #tensor({ dtype, shape }: Handle, bytes: Uint8Array): unknown {
    const tensor = new this.messages.Tensor();
    tensor.setDtype(dtype);
    tensor.setTensorShape(this.#dimensions(shape));
    tensor.setTensorContent(bytes);
    const message = new this.messages.AttrValue();
    message.setTensor(tensor);
    return message;
  }

  #dimensions(shape: readonly number[]): unknown {
    const { TensorShape } = this.messages;
    const message = new TensorShape();
    for (const size of shape) {
      const dimension = new TensorShape.Dim();
      dimension.setSize(size);
      message.addDim(dimension);
    }
    return message;
  }
}

/** The version of the graph format that TensorFlow 2 writes, which every release since reads. */
const graphVersion = 987;

export const endpointName = ({ node, output }: Endpoint): string => `${node}:${output}`;
