import type { Device } from '../backend.js';

/**
 * Everything that `fln backend install` downloads, exactly: one place to look before a version is
 * changed. All were seen to work together on Linux x64 with Node 20, 22 and 24.
 */

/** Of @tensorflow/tfjs-node, -node-gpu and -backend-webgpu: the same as the tensor library's own. */
export const tensorLibraryVersion = '4.22.0';

/** Of the npm package `webgpu`, which brings Dawn. */
export const webgpuVersion = '0.6.2';

/** A file of the Python Package Index. pip refuses one with another SHA-256. */
export interface Wheel {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** What is unpacked: beginning of a path -> its replacement below `deps`. */
  readonly unpack: Readonly<Record<string, string>>;
}

/** The Python that the wheels are meant for. Only their C++ libraries are used: any pip can fetch them. */
export const wheelPython = { version: '3.12', abi: 'cp312' } as const;

/** glibc that they need. */
export const wheelGlibc = '2.27';

/** C++ libraries and headers, where the binding looks for them; `deps/lib` takes the place of `tensorflow`. */
const libraries = {
  'tensorflow/libtensorflow_cc.so.2': 'lib/libtensorflow_cc.so.2',
  'tensorflow/libtensorflow_framework.so.2': 'lib/libtensorflow_framework.so.2',
  'tensorflow/include/': 'include/',
};

/** As in the wheels' own layout, `nvidia` is beside `tensorflow`: TensorFlow's RUNPATH finds it there. */
const nvidia = { 'nvidia/': 'nvidia/' };

const cpuX64: Wheel = {
  name: 'tensorflow-cpu',
  version: '2.21.0',
  sha256: 'dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb',
  unpack: libraries,
};

const cpuArm64: Wheel = {
  name: 'tensorflow',
  version: '2.21.0',
  sha256: 'b07d15737406533898e36c7ef7944b1be18e9028dc521b9229952c537bbc5552',
  unpack: libraries,
};

/** `tensorflow[and-cuda]` without the Python packages that its C++ library does not use. */
const cudaX64: readonly Wheel[] = [
  {
    name: 'tensorflow',
    version: '2.21.0',
    sha256: 'b3b95643c4e70eb925839938fb35cbe142f317ec84af6844ee61513713bb13c0',
    unpack: libraries,
  },
  ...Object.entries({
    'nvidia-cublas-cu12': [
      '12.9.3.13',
      'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72',
    ],
    'nvidia-cuda-cupti-cu12': [
      '12.8.90',
      'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182',
    ],
    'nvidia-cuda-nvcc-cu12': [
      '12.9.86',
      '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
    ],
    'nvidia-cuda-nvrtc-cu12': [
      '12.9.86',
      '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
    ],
    'nvidia-cuda-runtime-cu12': [
      '12.9.79',
      '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
    ],
    'nvidia-cudnn-cu12': [
      '9.28.0.42',
      '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375',
    ],
    'nvidia-cufft-cu12': [
      '11.4.1.4',
      'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
    ],
    'nvidia-curand-cu12': [
      '10.3.10.19',
      '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e',
    ],
    'nvidia-cusolver-cu12': [
      '11.7.5.82',
      '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
    ],
    'nvidia-cusparse-cu12': [
      '12.5.10.65',
      '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
    ],
    'nvidia-nccl-cu12': [
      '2.32.3',
      'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c',
    ],
    'nvidia-nvjitlink-cu12': [
      '12.9.86',
      'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
    ],
  }).map(([name, [version, sha256]]) => ({ name, version, sha256, unpack: nvidia })),
];

/** Wheels by what they compute on and by Node's name of the processor. */
export const wheels: Readonly<Record<Device, Readonly<Record<string, readonly Wheel[]>>>> = {
  cpu: { x64: [cpuX64], arm64: [cpuArm64] },
  cuda: { x64: cudaX64 },
};
