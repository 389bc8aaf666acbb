//! One file per RPC: parse, call, render.

mod get_product;
mod list_products;
mod person;
mod product;
mod recommend;
mod upsert_products;

use std::sync::Arc;

use ::store::Db;
use kit::{
    Clock,
    auth::{caller, scope},
    channel::Channel,
};
use proto::recommendation::v1::{
    GetProductRequest, GetProductResponse, ListProductsRequest, ListProductsResponse, RecommendRequest,
    RecommendResponse, UpsertProductsRequest, UpsertProductsResponse, catalogue_service_server::CatalogueService,
    recommendation_service_server::RecommendationService,
};
use tonic::{Request, Response, Status};

use crate::shelf::Shelves;

/// The handlers of both services.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) shelves: Arc<Shelves>,
    /// Leads to identity, which knows who a profile has become.
    pub(crate) identity: Channel,
}

#[tonic::async_trait]
impl CatalogueService for Rpc {
    async fn upsert_products(
        &self,
        request: Request<UpsertProductsRequest>,
    ) -> Result<Response<UpsertProductsResponse>, Status> {
        let caller = caller(&request, scope::CATALOGUE_WRITE)?;
        Ok(Response::new(upsert_products::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn get_product(&self, request: Request<GetProductRequest>) -> Result<Response<GetProductResponse>, Status> {
        let caller = caller(&request, scope::RECOMMEND_READ)?;
        Ok(Response::new(get_product::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let caller = caller(&request, scope::RECOMMEND_READ)?;
        Ok(Response::new(list_products::handle(self, &caller.tenant, request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl RecommendationService for Rpc {
    async fn recommend(&self, request: Request<RecommendRequest>) -> Result<Response<RecommendResponse>, Status> {
        let caller = caller(&request, scope::RECOMMEND_READ)?;
        Ok(Response::new(recommend::handle(self, &caller.tenant, request.into_inner()).await?))
    }
}
