"""What the page of LSTM-MTL says beside its figures."""

HEAD = """# LSTM-MTL: what was measured

Written by

```sh
POMONA_DATA=data python -m tests.benchmarks.crops_regions choose labels season fusion angiang
```

Rice against all else in Arkansas and California (`mctnet_us_s2`, 2021, labels of the Cropland Data Layer): the
paper's Arkansas Grand Prairie with Mississippi Delta, and Sacramento Valley, lie there. Series are Sentinel-2 in 18
steps of ten days from the paper's planting dates on (1 April; 25 April, of which the nearest step is the 21st), where
the paper has 16 steps of 12 days of Sentinel-1. Half of the blocks of 20 km are for the test alone. All settings were
chosen on the other half, by labels of three fifths of it judged on two fifths; labels for the figures below are drawn
at random from all of it, region by region, with three seeds. Figures are of test blocks: mean over seeds, in brackets
95 % intervals by resamples of blocks and seeds, differences on the same resamples. *Global* is one model for both
regions, *local* one for each; *twice the labels* is the paper's local baseline, which gets as many labels of its
region as LSTM-MTL of both.

**What one year cannot show.** The paper trains on 2018 and maps 2019. This set has one year, so nothing here says how
the network carries over to another season. Points were drawn class by class: shares of points are no shares of land,
F1 would be lower where rice is rarer, and areas by block are of points. California has rice in 33 blocks only, half
of them in the test, so its intervals are wide. The reference is a map itself.
"""

PAPER = """The paper's figures, of another year's map of whole regions from Sentinel-1, where rice is rarer: F1 of rice
in four regions together 0.804 by LSTM-MTL, 0.762 by AtBiLSTM and 0.745 by random forest, both global; 0.003 to 0.070
above local models; Sacramento Valley 0.936, local AtBiLSTM 0.933, local forest 0.928. Two months before maturity 0.746,
which is 0.93 of its final F1. It trains on a tenth of all pixels of 2018.

Its advantage over local AtBiLSTM was not found here. Validation blocks had said so before the test, with 200 labels and
four draws: LSTM-MTL 0.978 in Arkansas and 0.985 in California, local AtBiLSTM 0.979 and 0.985; twice as long a training
(0.973 and 0.984) and bands standardised by region (0.978 and 0.987) changed little, so nothing of that was taken over.
With ten bands a state's own labels tell rice well enough that another state's add nothing.
"""
