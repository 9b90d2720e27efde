//! Looking on from outside: what the weights of a network meet while it computes.

use std::cell::RefCell;
use std::rc::Rc;

use burn::module::ParamId;
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

/// What a weight is multiplied with.
///
/// Under automatic differentiation the tensors are tracked; padding is among the rows.
#[derive(Debug, Clone)]
pub enum Observed {
    /// The matrix of a linear layer: `[rows, inputs]`.
    Rows(Tensor<2>),
    /// The kernel of a convolution.
    Picture {
        /// `[batch, inputs, height, width]`.
        picture: Tensor<4>,
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// How the kernel goes over the picture.
        options: ConvOptions<2>,
    },
}

/// Somebody who looks on.
pub trait Observer {
    /// The weight of this identity is about to be multiplied with `inputs`.
    fn see(&mut self, weight: ParamId, inputs: Observed);
}

type Shared = Rc<RefCell<dyn Observer>>;

thread_local! {
    static OBSERVER: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Does `forward` while `observer` sees what weights meet in this thread; an observer from outside sees nothing meanwhile.
///
/// Seen are [`Linear`](crate::Linear), [`ConvNorm`](crate::ConvNorm), [`convolve`](crate::convolve()) and whatever else
/// calls [`observe`], such as the hidden matrices of recurrent cells. burn's own layers compute by themselves and cannot be
/// seen: give the parameters of its `Linear` to ours, and a `Conv2d` to [`convolve`](crate::convolve()). Functions over
/// bare tensors ([`linear`](crate::linear()), [`convolution`](crate::convolution())) have no identity to be seen by.
pub fn observing<R>(observer: &Rc<RefCell<impl Observer + 'static>>, forward: impl FnOnce() -> R) -> R {
    /// Puts back who looked on before, also where `forward` panics.
    struct Before(Option<Shared>);
    impl Drop for Before {
        fn drop(&mut self) {
            OBSERVER.replace(self.0.take());
        }
    }
    let observer: Shared = Rc::clone(observer) as Shared;
    let _before = Before(OBSERVER.replace(Some(observer)));
    forward()
}

/// Shows `inputs` to whoever is [`observing`]; nobody: they are not even made. What an observer computes itself it does
/// not see.
pub fn observe(weight: ParamId, inputs: impl FnOnce() -> Observed) {
    let Some(observer) = OBSERVER.with_borrow(Clone::clone) else { return };
    if let Ok(mut observer) = observer.try_borrow_mut() {
        observer.see(weight, inputs());
    }
}

/// Whether somebody looks on in this thread: what is computed at once then shows nothing on the way.
#[cfg(feature = "flex")]
pub(crate) fn is_observed() -> bool {
    OBSERVER.with_borrow(Option::is_some)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random};
    use crate::{ConvNormConfig, LinearConfig, convolve};
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::Device;

    #[derive(Default)]
    struct Notes(Vec<(ParamId, Observed)>);

    impl Observer for Notes {
        fn see(&mut self, weight: ParamId, inputs: Observed) {
            self.0.push((weight, inputs));
        }
    }

    #[test]
    fn linear_layers_and_convolutions_are_seen_with_what_they_meet() {
        let device = Device::flex();
        let linear = LinearConfig::new(6, 5).init(&device);
        let norm = ConvNormConfig::same([2, 3], 3, 2).init(&device);
        let plain = Conv2dConfig::new([2, 4], [1, 3]).init(&device);
        let (x, picture) = (random([2, 4, 6], &device), random([2, 2, 5, 5], &device));
        let options = ConvOptions::new([1, 2], [0, 1], [1, 1], 1);
        let notes = Rc::new(RefCell::new(Notes::default()));
        let seen = observing(&notes, || {
            norm.forward(picture.clone());
            convolve(picture.clone(), &plain, options.clone());
            linear.forward(x.clone())
        });
        // Whoever has stopped looking sees nothing, and looking changes nothing.
        assert_close(&seen, &linear.forward(x.clone()), "observed");
        let notes = notes.borrow();
        let [(first, conv), (second, other), (third, rows)] = &notes.0[..] else {
            panic!("{} were seen", notes.0.len());
        };
        assert_eq!([*first, *second, *third], [norm.conv.weight.id, plain.weight.id, linear.weight.id]);
        let Observed::Picture { picture: met, kernel, options: how } = conv else { panic!("{conv:?}") };
        assert_eq!((*kernel, how.stride, how.padding), ([3, 3], [2, 2], [(1, 1), (1, 1)]));
        assert_close(met, &picture, "picture");
        let Observed::Picture { kernel, options: how, .. } = other else { panic!("{other:?}") };
        assert_eq!((*kernel, how), ([1, 3], &options));
        let Observed::Rows(met) = rows else { panic!("{rows:?}") };
        assert_close(met, &x.reshape([8, 6]), "rows");
    }

    #[test]
    fn the_inner_observer_looks_alone_and_sees_nothing_of_its_own_work() {
        struct Busy(usize);
        impl Observer for Busy {
            fn see(&mut self, _weight: ParamId, inputs: Observed) {
                let Observed::Rows(x) = inputs else { panic!("rows were given") };
                let [_, inputs] = x.dims();
                LinearConfig::new(inputs, 2).init(&x.device()).forward(x);
                self.0 += 1;
            }
        }
        let device = Device::flex();
        let linear = LinearConfig::new(3, 3).init(&device);
        let x = random([2, 3], &device);
        let (outer, inner) = (Rc::new(RefCell::new(Busy(0))), Rc::new(RefCell::new(Busy(0))));
        observing(&outer, || {
            linear.forward(x.clone());
            observing(&inner, || linear.forward(linear.forward(x.clone())));
            linear.forward(x.clone())
        });
        assert_eq!((outer.borrow().0, inner.borrow().0), (2, 2));
    }

    #[test]
    fn a_panic_leaves_nobody_looking() {
        let notes = Rc::new(RefCell::new(Notes::default()));
        let fails = || assert!(!notes.borrow().0.is_empty(), "nothing was seen");
        let work = std::panic::AssertUnwindSafe(|| observing(&notes, fails));
        assert!(std::panic::catch_unwind(work).is_err());
        let device = Device::flex();
        LinearConfig::new(3, 3).init(&device).forward(random([2, 3], &device));
        assert!(notes.borrow().0.is_empty());
    }
}
