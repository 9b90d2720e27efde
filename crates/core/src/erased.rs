//! Modules behind a box, so that architectures combine without a generic parameter for each part.
//!
//! burn's [`Module`] has generic methods (`visit`, `map`) and cannot be a trait object. [`Boxed`] can: it
//! erases the rank of every parameter on the way out and restores it on the way in, as burn itself does for
//! its reparameterizations. Training, records, pruning and quantization pass through it unchanged, and the
//! compiler sees each architecture once instead of once for every combination.

use std::any::Any;
use std::fmt::Debug;
use std::ops::Deref;

use burn::module::{
    Content, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Bool, Device, Int, Tensor};

/// A parameter lent to a visitor, its rank kept as a number.
struct ErasedParamRef<'a> {
    rank: usize,
    value: &'a dyn Any,
}

/// A parameter given to a mapper, its rank kept as a number.
struct ErasedParam {
    rank: usize,
    value: Box<dyn Any + Send>,
}

impl ErasedParam {
    fn new<T: Any + Send>(rank: usize, value: T) -> Self {
        Self { rank, value: Box::new(value) }
    }

    fn restore<T: Any + Send>(self) -> T {
        *self.value.downcast().expect("a mapper returns the kind and rank of parameter it was given")
    }
}

/// The object-safe face of [`ModuleVisitor`].
trait ErasedVisitor {
    fn float(&mut self, param: ErasedParamRef<'_>);
    fn int(&mut self, param: ErasedParamRef<'_>);
    fn bool(&mut self, param: ErasedParamRef<'_>);
    fn flag(&mut self, param: &Param<Flag>);
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
}

/// The object-safe face of [`ModuleMapper`].
trait ErasedMapper {
    fn float(&mut self, param: ErasedParam) -> ErasedParam;
    fn int(&mut self, param: ErasedParam) -> ErasedParam;
    fn bool(&mut self, param: ErasedParam) -> ErasedParam;
    fn flag(&mut self, param: Param<Flag>) -> Param<Flag>;
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
}

/// On the way out: hands a module's typed parameters to an erased visitor.
struct OutVisitor<'a>(&'a mut dyn ErasedVisitor);

impl ModuleVisitor for OutVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.float(ErasedParamRef { rank: D, value: param });
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.0.int(ErasedParamRef { rank: D, value: param });
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.0.bool(ErasedParamRef { rank: D, value: param });
    }
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0.flag(flag);
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }
}

/// On the way out: hands a module's typed parameters to an erased mapper.
struct OutMapper<'a>(&'a mut dyn ErasedMapper);

impl ModuleMapper for OutMapper<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0.float(ErasedParam::new(D, param)).restore()
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.0.int(ErasedParam::new(D, param)).restore()
    }
    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        self.0.bool(ErasedParam::new(D, param)).restore()
    }
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.0.flag(flag)
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }
}

macro_rules! with_rank {
    ($rank:expr, $d:ident => $body:expr) => {
        with_rank!(@ $rank, $d => $body, 0 1 2 3 4 5 6 7 8)
    };
    (@ $rank:expr, $d:ident => $body:expr, $($number:literal)*) => {
        match $rank {
            $($number => { const $d: usize = $number; $body })*
            rank => unreachable!("burn has no parameters of rank {rank}"),
        }
    };
}

const KIND: &str = "an erased parameter keeps its kind and rank";

/// On the way in: restores the rank and hands the parameter to a typed visitor.
struct InVisitor<'a, V>(&'a mut V);

impl<V: ModuleVisitor> ErasedVisitor for InVisitor<'_, V> {
    fn float(&mut self, param: ErasedParamRef<'_>) {
        with_rank!(param.rank, D => {
            self.0.visit_float(param.value.downcast_ref::<Param<Tensor<D>>>().expect(KIND))
        })
    }
    fn int(&mut self, param: ErasedParamRef<'_>) {
        with_rank!(param.rank, D => {
            self.0.visit_int(param.value.downcast_ref::<Param<Tensor<D, Int>>>().expect(KIND))
        })
    }
    fn bool(&mut self, param: ErasedParamRef<'_>) {
        with_rank!(param.rank, D => {
            self.0.visit_bool(param.value.downcast_ref::<Param<Tensor<D, Bool>>>().expect(KIND))
        })
    }
    fn flag(&mut self, param: &Param<Flag>) {
        self.0.visit_flag(param);
    }
    fn enter(&mut self, name: &str, container: &str) {
        self.0.enter_module(name, container);
    }
    fn exit(&mut self, name: &str, container: &str) {
        self.0.exit_module(name, container);
    }
}

/// On the way in: restores the rank and hands the parameter to a typed mapper.
struct InMapper<'a, M>(&'a mut M);

impl<M: ModuleMapper> ErasedMapper for InMapper<'_, M> {
    fn float(&mut self, param: ErasedParam) -> ErasedParam {
        with_rank!(param.rank, D => ErasedParam::new(D, self.0.map_float(param.restore::<Param<Tensor<D>>>())))
    }
    fn int(&mut self, param: ErasedParam) -> ErasedParam {
        with_rank!(param.rank, D => ErasedParam::new(D, self.0.map_int(param.restore::<Param<Tensor<D, Int>>>())))
    }
    fn bool(&mut self, param: ErasedParam) -> ErasedParam {
        with_rank!(param.rank, D => ErasedParam::new(D, self.0.map_bool(param.restore::<Param<Tensor<D, Bool>>>())))
    }
    fn flag(&mut self, param: Param<Flag>) -> Param<Flag> {
        self.0.map_flag(param)
    }
    fn enter(&mut self, name: &str, container: &str) {
        self.0.enter_module(name, container);
    }
    fn exit(&mut self, name: &str, container: &str) {
        self.0.exit_module(name, container);
    }
}

/// The object-safe face of [`Module`], seen as the behaviour `B`.
trait Erased<B: ?Sized>: Debug + Send + Sync {
    fn behaviour(&self) -> &B;
    fn visit(&self, visitor: &mut dyn ErasedVisitor);
    fn map(self: Box<Self>, mapper: &mut dyn ErasedMapper) -> Box<dyn Erased<B>>;
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device>;
    fn fork(self: Box<Self>, device: &Device) -> Box<dyn Erased<B>>;
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn Erased<B>>;
    fn train(self: Box<Self>) -> Box<dyn Erased<B>>;
    fn valid(&self) -> Box<dyn Erased<B>>;
    fn materialize(self: Box<Self>) -> Box<dyn Erased<B>>;
    fn duplicate(&self) -> Box<dyn Erased<B>>;
}

/// A module with the function that shows it as its behaviour.
struct Adapter<M, B: ?Sized> {
    module: M,
    view: fn(&M) -> &B,
}

impl<M: Debug, B: ?Sized> Debug for Adapter<M, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.module.fmt(f)
    }
}

impl<M: Module + Sync + 'static, B: ?Sized + 'static> Adapter<M, B> {
    fn boxed(module: M, view: fn(&M) -> &B) -> Box<dyn Erased<B>> {
        Box::new(Self { module, view })
    }
}

impl<M: Module + Sync + 'static, B: ?Sized + 'static> Erased<B> for Adapter<M, B> {
    fn behaviour(&self) -> &B {
        (self.view)(&self.module)
    }
    fn visit(&self, visitor: &mut dyn ErasedVisitor) {
        self.module.visit(&mut OutVisitor(visitor));
    }
    fn map(self: Box<Self>, mapper: &mut dyn ErasedMapper) -> Box<dyn Erased<B>> {
        Self::boxed(self.module.map(&mut OutMapper(mapper)), self.view)
    }
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.module.collect_devices(devices)
    }
    fn fork(self: Box<Self>, device: &Device) -> Box<dyn Erased<B>> {
        Self::boxed(self.module.fork(device), self.view)
    }
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn Erased<B>> {
        Self::boxed(self.module.to_device(device), self.view)
    }
    fn train(self: Box<Self>) -> Box<dyn Erased<B>> {
        Self::boxed(self.module.train(), self.view)
    }
    fn valid(&self) -> Box<dyn Erased<B>> {
        Self::boxed(self.module.valid(), self.view)
    }
    fn materialize(self: Box<Self>) -> Box<dyn Erased<B>> {
        Self::boxed(self.module.materialize(), self.view)
    }
    fn duplicate(&self) -> Box<dyn Erased<B>> {
        Self::boxed(self.module.clone(), self.view)
    }
}

/// Any module that behaves as `B`, e.g. `Boxed<dyn Mixer>`. It is itself a [`Module`], and derefs to `B`.
#[derive(Debug)]
pub struct Boxed<B: ?Sized + 'static>(Box<dyn Erased<B>>);

impl<B: ?Sized + 'static> Boxed<B> {
    /// Boxes `module`; `view` shows it as its behaviour and is nearly always `|module| module`.
    pub(crate) fn erase<M: Module + Sync + 'static>(module: M, view: fn(&M) -> &B) -> Self {
        Self(Adapter::boxed(module, view))
    }
}

impl<B: ?Sized + 'static> Deref for Boxed<B> {
    type Target = B;

    fn deref(&self) -> &B {
        self.0.behaviour()
    }
}

impl<B: ?Sized + 'static> Clone for Boxed<B> {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl<B: ?Sized + Debug + 'static> Module for Boxed<B> {
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.0.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        Self(self.0.fork(device))
    }
    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device))
    }
    fn train(self) -> Self {
        Self(self.0.train())
    }
    fn valid(&self) -> Self {
        Self(self.0.valid())
    }
    fn materialize(self) -> Self {
        Self(self.0.materialize())
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.0.visit(&mut InVisitor(visitor));
    }
    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self(self.0.map(&mut InMapper(mapper)))
    }
}

impl<B: ?Sized + Debug + 'static> ModuleDisplayDefault for Boxed<B> {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&format!("{:?}", self.0)).optional()
    }
}

impl<B: ?Sized + Debug + 'static> ModuleDisplay for Boxed<B> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Sum;
    use crate::{BoxedMixer, Context, Mixer};

    /// Everything a visitor is told, in order.
    #[derive(Default)]
    struct Log(Vec<String>);

    impl ModuleVisitor for Log {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(format!("{} {D} {:?}", param.id, param.dims()));
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.push(format!("enter {name} of {container}"));
        }
        fn exit_module(&mut self, name: &str, container: &str) {
            self.0.push(format!("exit {name} of {container}"));
        }
    }

    fn log(module: &impl Module) -> Vec<String> {
        let mut log = Log::default();
        module.visit(&mut log);
        log.0
    }

    /// Doubles every parameter.
    struct Double;

    impl ModuleMapper for Double {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor * 2.0)
        }
    }

    fn run(mixer: &dyn Mixer, device: &Device) -> f32 {
        mixer.forward(Tensor::ones([1, 2, 3], device), &Context::default()).sum().into_scalar()
    }

    #[test]
    fn a_visitor_sees_through_the_box() {
        let device = ansatz_device::open("cpu").unwrap();
        let bare = Sum::new(1.0, 3, &device);
        let boxed = BoxedMixer::new(bare.clone());
        assert_eq!(log(&boxed), log(&bare));
        assert!(log(&boxed).contains(&"enter scale of Struct:Sum".to_owned()), "{:?}", log(&boxed));
        assert_eq!(Module::num_params(&boxed), 3 + 3 + 6);
        assert_eq!(boxed.devices(), bare.devices());
        // Inside another module the path goes on.
        assert!(log(&vec![boxed]).len() > log(&bare).len());
    }

    #[test]
    fn a_mapper_reaches_into_the_box() {
        let device = ansatz_device::open("cpu").unwrap();
        let boxed = BoxedMixer::new(Sum::new(1.0, 3, &device));
        let before = log(&boxed);
        let copy = boxed.clone();
        let doubled = boxed.map(&mut Double);
        assert_eq!(log(&doubled), before, "identities, ranks and shapes stay");
        assert_eq!((run(&*doubled, &device), run(&*copy, &device)), (18.0, 9.0));
    }

    #[test]
    fn training_turns_gradients_on_and_validation_off() {
        let device = ansatz_device::open("cpu").unwrap();
        let training = device.clone().autodiff();
        let boxed = BoxedMixer::new(Sum::new(1.0, 3, &training));
        let tokens = Tensor::<3>::ones([1, 2, 3], &training).require_grad();
        let gradients = boxed.forward(tokens.clone(), &Context::default()).sum().backward();
        assert!(tokens.grad(&gradients).is_some());
        let valid = boxed.valid();
        let output = valid.forward(Tensor::ones([1, 2, 3], &device), &Context::default());
        assert!(!output.device().is_autodiff());
        let again = valid.train().forward(Tensor::ones([1, 2, 3], &training), &Context::default());
        assert!(again.device().is_autodiff());
    }

    #[test]
    fn records_pass_through_the_box() {
        let device = ansatz_device::open("cpu").unwrap();
        let trained = BoxedMixer::new(Sum::new(0.7, 3, &device));
        let record = trained.clone().into_record();
        let fresh = BoxedMixer::new(Sum::new(0.0, 3, &device)).load_record(record);
        assert_eq!(run(&*fresh, &device), run(&*trained, &device));
        let bare = Sum::new(0.0, 3, &device).load_record(trained.clone().into_record());
        assert_eq!(run(&bare, &device), run(&*trained, &device));
    }
}
