"""The OPRF against the test vectors of RFC 9497, appendix A.1, and against hostile elements."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import RemoteProtocolError
from protocols import oprf

SEED, INFO = bytes([0xa3]) * 32, b'test key'
KEY = bytes.fromhex('5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e')
PROVED_KEY = bytes.fromhex('e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909')
PUBLIC = bytes.fromhex('c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e')
BLIND = '64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706'
NONCE = '222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e'
INPUTS = ['00', '5a' * 17]

OPRF = [  # blinded element, evaluated element, output
    ('609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c',
     '7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e',
     '527759c3d9366f277d8c6020418d96bb393ba2afb20ff90df23fb7708264e2f3'
     'ab9135e3bd69955851de4b1f9fe8a0973396719b7912ba9ee8aa7d0b5e24bcf6'),
    ('da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418',
     'b4cbf5a4f1eeda5a63ce7b77c7d23f461db3fcab0dd28e4e17cecb5c90d02c25',
     'f4a74c9c592497375e796aa837e907b1a045d34306a749db9f34221f7e750cb4'
     'f2a6413a6bf6fa5e19ba6348eb673934a722a7ede2e7621306d18951e7cf2c73'),
]
OUTPUTS = [
    'b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7d'
    'a4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c',
    '8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60'
    '356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6',
]
VOPRF = [  # inputs, blinds, blinded elements, evaluated elements, nonce, proof, outputs
    (INPUTS[:1], [BLIND],
     ['863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945'],
     ['aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e'], NONCE,
     'ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06'
     '6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d', OUTPUTS[:1]),
    (INPUTS[1:], [BLIND],
     ['cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c'],
     ['60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468'], NONCE,
     '401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a'
     '67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02', OUTPUTS[1:]),
    (INPUTS, [BLIND, NONCE],
     ['863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945',
      '90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654'],
     ['aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e',
      'cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a'],
     '419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c',
     'cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a'
     '5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08', OUTPUTS),
]


def rows(items):
    return np.array([list(bytes.fromhex(i)) for i in items], np.uint8)


def test_key_derivation():
    assert oprf.derive_key(SEED, INFO) == KEY
    assert oprf.derive_key(SEED, INFO, oprf.MODE_VOPRF) == PROVED_KEY
    assert oprf.public_key(PROVED_KEY) == PUBLIC


@pytest.mark.parametrize('item, blinded, evaluated, output',
                         [(i, *v) for i, v in zip(INPUTS, OPRF, strict=True)])
def test_oprf_vectors(item, blinded, evaluated, output):
    inputs = [bytes.fromhex(item)]
    blinds, sent = oprf.blind(inputs, blinds=rows([BLIND]))
    assert sent.tobytes().hex() == blinded
    answer = oprf.multiply(sent, KEY)
    assert answer.tobytes().hex() == evaluated
    assert oprf.finalize(inputs, blinds, answer).tobytes().hex() == output
    assert oprf.evaluate(inputs, KEY).tobytes().hex() == output


@pytest.mark.parametrize('items, blinds, blinded, evaluated, nonce, proof, outputs', VOPRF)
def test_voprf_vectors(items, blinds, blinded, evaluated, nonce, proof, outputs):
    inputs = [bytes.fromhex(i) for i in items]
    used, sent = oprf.blind(inputs, oprf.MODE_VOPRF, rows(blinds))
    np.testing.assert_array_equal(sent, rows(blinded))
    answer = oprf.multiply(sent, PROVED_KEY)
    np.testing.assert_array_equal(answer, rows(evaluated))
    assert oprf.prove(PROVED_KEY, sent, answer, bytes.fromhex(nonce)).hex() == proof
    oprf.verify(PUBLIC, sent, answer, bytes.fromhex(proof))
    np.testing.assert_array_equal(oprf.finalize(inputs, used, answer), rows(outputs))
    np.testing.assert_array_equal(oprf.evaluate(inputs, PROVED_KEY, oprf.MODE_VOPRF),
                                  rows(outputs))


def test_batches_equal_single_evaluations_and_blinds_are_fresh():
    inputs = [b'%d' % i for i in range(300)]
    blinds, sent = oprf.blind(inputs)
    _, again = oprf.blind(inputs)
    assert len(np.unique(np.concatenate([sent, again, blinds]), axis=0)) == 900
    outputs = oprf.finalize(inputs, blinds, oprf.multiply(sent, KEY))
    np.testing.assert_array_equal(outputs, oprf.evaluate(inputs, KEY))
    for i in (0, 63, 64, 150, 299):
        assert oprf.evaluate([inputs[i]], KEY).tobytes() == outputs[i].tobytes()


def test_nothing_to_evaluate():
    blinds, sent = oprf.blind([])
    assert sent.shape == (0, 32)
    assert oprf.finalize([], blinds, oprf.multiply(sent, KEY)).shape == (0, 64)


@pytest.mark.parametrize('bad', [
    bytes(32),  # the identity
    b'\xff' * 32, b'\x01' + bytes(31),  # not canonical: too large, or negative
    (2**255 - 19).to_bytes(32, 'little'),  # zero, but not canonical
    bytes.fromhex('26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371'),  # not square
])
def test_elements_that_do_not_decode_are_counted(bad):
    elements = oprf.hash_to_group([b'%d' % i for i in range(200)]).copy()
    elements[[3, 150]] = np.frombuffer(bad, np.uint8)
    with pytest.raises(RemoteProtocolError, match='2 of 200 encodings') as caught:
        oprf.multiply(elements, KEY, party=1)
    assert (caught.value.code, caught.value.party) == ('bad-element', 1)


@pytest.mark.parametrize('spoil', ['element', 'order', 'key', 'challenge', 'response', 'scalar'])
def test_a_wrong_proof_is_refused(spoil):
    inputs = [b'a', b'b', b'c']
    _, sent = oprf.blind(inputs, oprf.MODE_VOPRF)
    answer = oprf.multiply(sent, PROVED_KEY)
    public, proof = PUBLIC, bytearray(oprf.prove(PROVED_KEY, sent, answer))
    oprf.verify(public, sent, answer, bytes(proof), party=1)
    if spoil == 'element':
        answer = np.concatenate([answer[:2], oprf.multiply(sent[2:], KEY)])
    elif spoil == 'order':
        answer = answer[::-1]
    elif spoil == 'key':
        public = oprf.public_key(KEY)
    elif spoil == 'scalar':
        proof[32:] = bytes(32)
    else:
        proof[5 if spoil == 'challenge' else 40] ^= 1
    with pytest.raises(RemoteProtocolError, match='bad-proof'):
        oprf.verify(public, sent, answer, bytes(proof), party=1)
