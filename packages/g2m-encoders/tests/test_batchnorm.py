import timm
import torch

from g2m_encoders.batchnorm import GlobalBatchNorm2d, make_batch_norm_global


def test_one_process_computes_what_the_original_did():
    torch.manual_seed(0)
    for name in ("test_resnet", "test_efficientnet"):  # plain and fused with its activation
        original = timm.create_model(name, num_classes=0).train()
        replaced = timm.create_model(name, num_classes=0)
        replaced.load_state_dict(original.state_dict())
        replaced = make_batch_norm_global(replaced).train()
        x = torch.randn(4, 3, 32, 32)
        assert torch.equal(original(x), replaced(x))
        assert original.state_dict().keys() == replaced.state_dict().keys()
        assert any(isinstance(m, GlobalBatchNorm2d) for m in replaced.modules())
        assert torch.equal(original.eval()(x), replaced.eval()(x))
