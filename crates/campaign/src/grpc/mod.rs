//! One file per RPC: parse, call, render.

mod add_suppression;
mod describe_unsubscribe;
mod follow_link;
mod get_campaign;
mod get_contact_policy;
mod get_message;
mod get_suppression;
mod get_template;
mod link;
mod list_campaigns;
mod list_messages;
mod list_templates;
mod preview_template;
mod put_campaign;
mod put_template;
mod record_open;
mod remove_suppression;
mod set_campaign_paused;
mod set_contact_policy;
mod summarize_messages;
mod suppressed;
mod unsubscribe;

use std::sync::Arc;

use kit::auth::{caller, scope, service_caller};
use proto::campaign::v1::{
    AddSuppressionRequest, AddSuppressionResponse, DescribeUnsubscribeRequest, DescribeUnsubscribeResponse,
    FollowLinkRequest, FollowLinkResponse, GetCampaignRequest, GetCampaignResponse, GetContactPolicyRequest,
    GetContactPolicyResponse, GetMessageRequest, GetMessageResponse, GetSuppressionRequest, GetSuppressionResponse,
    GetTemplateRequest, GetTemplateResponse, ListCampaignsRequest, ListCampaignsResponse, ListMessagesRequest,
    ListMessagesResponse, ListTemplatesRequest, ListTemplatesResponse, PreviewTemplateRequest, PreviewTemplateResponse,
    PutCampaignRequest, PutCampaignResponse, PutTemplateRequest, PutTemplateResponse, RecordOpenRequest,
    RecordOpenResponse, RemoveSuppressionRequest, RemoveSuppressionResponse, SetCampaignPausedRequest,
    SetCampaignPausedResponse, SetContactPolicyRequest, SetContactPolicyResponse, SummarizeMessagesRequest,
    SummarizeMessagesResponse, UnsubscribeRequest, UnsubscribeResponse, campaign_service_server::CampaignService,
    link_service_server::LinkService, message_service_server::MessageService,
    suppression_service_server::SuppressionService, template_service_server::TemplateService,
};
use tonic::{Request, Response, Status};

use crate::engine::Engine;

/// The handlers of all services.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) engine: Arc<Engine>,
}

#[tonic::async_trait]
impl TemplateService for Rpc {
    async fn put_template(
        &self,
        request: Request<PutTemplateRequest>,
    ) -> Result<Response<PutTemplateResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_WRITE)?;
        Ok(Response::new(put_template::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn get_template(
        &self,
        request: Request<GetTemplateRequest>,
    ) -> Result<Response<GetTemplateResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(get_template::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn list_templates(
        &self,
        request: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(list_templates::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn preview_template(
        &self,
        request: Request<PreviewTemplateRequest>,
    ) -> Result<Response<PreviewTemplateResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(preview_template::handle(self, &caller.tenant, request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl CampaignService for Rpc {
    async fn put_campaign(
        &self,
        request: Request<PutCampaignRequest>,
    ) -> Result<Response<PutCampaignResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_WRITE)?;
        Ok(Response::new(put_campaign::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn get_campaign(
        &self,
        request: Request<GetCampaignRequest>,
    ) -> Result<Response<GetCampaignResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(get_campaign::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn list_campaigns(
        &self,
        request: Request<ListCampaignsRequest>,
    ) -> Result<Response<ListCampaignsResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(list_campaigns::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn set_campaign_paused(
        &self,
        request: Request<SetCampaignPausedRequest>,
    ) -> Result<Response<SetCampaignPausedResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_WRITE)?;
        Ok(Response::new(set_campaign_paused::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn set_contact_policy(
        &self,
        request: Request<SetContactPolicyRequest>,
    ) -> Result<Response<SetContactPolicyResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_WRITE)?;
        Ok(Response::new(set_contact_policy::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn get_contact_policy(
        &self,
        request: Request<GetContactPolicyRequest>,
    ) -> Result<Response<GetContactPolicyResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(get_contact_policy::handle(self, &caller.tenant, request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl MessageService for Rpc {
    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(list_messages::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn get_message(&self, request: Request<GetMessageRequest>) -> Result<Response<GetMessageResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(get_message::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn summarize_messages(
        &self,
        request: Request<SummarizeMessagesRequest>,
    ) -> Result<Response<SummarizeMessagesResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(summarize_messages::handle(self, &caller.tenant, request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl SuppressionService for Rpc {
    async fn add_suppression(
        &self,
        request: Request<AddSuppressionRequest>,
    ) -> Result<Response<AddSuppressionResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_WRITE)?;
        Ok(Response::new(add_suppression::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn remove_suppression(
        &self,
        request: Request<RemoveSuppressionRequest>,
    ) -> Result<Response<RemoveSuppressionResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_WRITE)?;
        Ok(Response::new(remove_suppression::handle(self, &caller.tenant, request.into_inner()).await?))
    }

    async fn get_suppression(
        &self,
        request: Request<GetSuppressionRequest>,
    ) -> Result<Response<GetSuppressionResponse>, Status> {
        let caller = caller(&request, scope::CAMPAIGNS_READ)?;
        Ok(Response::new(get_suppression::handle(self, &caller.tenant, request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl LinkService for Rpc {
    async fn follow_link(&self, request: Request<FollowLinkRequest>) -> Result<Response<FollowLinkResponse>, Status> {
        service_caller(&request)?;
        Ok(Response::new(follow_link::handle(self, request.into_inner()).await?))
    }

    async fn record_open(&self, request: Request<RecordOpenRequest>) -> Result<Response<RecordOpenResponse>, Status> {
        service_caller(&request)?;
        Ok(Response::new(record_open::handle(self, request.into_inner()).await?))
    }

    async fn unsubscribe(&self, request: Request<UnsubscribeRequest>) -> Result<Response<UnsubscribeResponse>, Status> {
        service_caller(&request)?;
        Ok(Response::new(unsubscribe::handle(self, request.into_inner()).await?))
    }

    async fn describe_unsubscribe(
        &self,
        request: Request<DescribeUnsubscribeRequest>,
    ) -> Result<Response<DescribeUnsubscribeResponse>, Status> {
        service_caller(&request)?;
        Ok(Response::new(describe_unsubscribe::handle(self, request.into_inner()).await?))
    }
}
